using 'main.bicep'

import { dev, prod } from 'sizes.bicep'

// From azd's environment (`azd env set NAME value`); docs/deploy.md lists the names. What has no default here has to
// be set: the compiler names it.
var size = { dev: dev, prod: prod }[readEnvironmentVariable('AZURE_SIZE', 'dev')]
var origins = readEnvironmentVariable('ALLOWED_ORIGINS', '')
var deployer = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param network = readEnvironmentVariable('AZURE_NETWORK', 'public')
param functions = size.functions
param eventHubs = size.eventHubs
param webPubSub = size.webPubSub
param mysql = size.mysql
param redis = size.redis
param logs = size.logs
param mysqlSignIn = {
  password: { mode: 'password' }
  entra: {
    mode: 'entra'
    adminLogin: readEnvironmentVariable('AZURE_MYSQL_ENTRA_ADMIN_LOGIN', '')
    adminObjectId: readEnvironmentVariable('AZURE_MYSQL_ENTRA_ADMIN_OBJECT_ID', '')
  }
}[readEnvironmentVariable('AZURE_MYSQL_MODE', 'password')]
param auth = {
  issuer: readEnvironmentVariable('AUTH_ISSUER')
  audience: readEnvironmentVariable('AUTH_AUDIENCE')
  jwksUri: readEnvironmentVariable('AUTH_JWKS_URI')
}
// The first-party application that exchanges tokens is in every directory, so that none has to be registered. It is
// asked for by its URI, and its tokens bear its application id.
param upstream = {
  resource: readEnvironmentVariable('AZURE_UPSTREAM_AUDIENCE', 'api://AzureADTokenExchange')
  audience: readEnvironmentVariable('AZURE_UPSTREAM_TOKEN_AUDIENCE', 'fb60f99c-7a34-4190-8149-302f77469936')
  issuer: readEnvironmentVariable('AZURE_UPSTREAM_TOKEN_ISSUER', '')
}
param allowedOrigins = empty(origins) ? [] : map(split(origins, ','), each => trim(each))
param limits = {}
param heartBeats = bool(readEnvironmentVariable('HEART_BEATS', 'true'))
param alertEmail = readEnvironmentVariable('AZURE_ALERT_EMAIL', '')
param budget = {
  amount: int(readEnvironmentVariable('AZURE_BUDGET_AMOUNT', '0'))
  startDate: readEnvironmentVariable('AZURE_BUDGET_START', '')
}
param deployerId = empty(deployer) ? null : deployer
param deployerType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
