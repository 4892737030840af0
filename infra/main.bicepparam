using 'main.bicep'

import { dev, prod } from 'sizes.bicep'

// From azd's environment (`azd env set NAME value`), and in a workflow from the repository's variables;
// docs/deploy.md lists the names. What has no default here has to be set: the compiler names it.
//
// An empty variable counts as one that is not set: a workflow has '' for each variable that its repository lacks, and
// `readEnvironmentVariable` gives that rather than its default.
var given = {
  size: readEnvironmentVariable('AZURE_SIZE', '')
  network: readEnvironmentVariable('AZURE_NETWORK', '')
  mysqlMode: readEnvironmentVariable('AZURE_MYSQL_MODE', '')
  upstreamAudience: readEnvironmentVariable('AZURE_UPSTREAM_AUDIENCE', '')
  upstreamTokenAudience: readEnvironmentVariable('AZURE_UPSTREAM_TOKEN_AUDIENCE', '')
  origins: readEnvironmentVariable('ALLOWED_ORIGINS', '')
  heartBeats: readEnvironmentVariable('HEART_BEATS', '')
  budget: readEnvironmentVariable('AZURE_BUDGET_AMOUNT', '')
  deployerId: readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
  deployerType: readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', '')
}
var size = { dev: dev, prod: prod }[empty(given.size) ? 'dev' : given.size]

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param network = empty(given.network) ? 'public' : given.network
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
}[empty(given.mysqlMode) ? 'password' : given.mysqlMode]
param auth = {
  issuer: readEnvironmentVariable('AUTH_ISSUER')
  audience: readEnvironmentVariable('AUTH_AUDIENCE')
  jwksUri: readEnvironmentVariable('AUTH_JWKS_URI')
}
// The first-party application that exchanges tokens is in every directory, so that none has to be registered. It is
// asked for by its URI, and its tokens bear its application id.
param upstream = {
  resource: empty(given.upstreamAudience) ? 'api://AzureADTokenExchange' : given.upstreamAudience
  audience: empty(given.upstreamTokenAudience) ? 'fb60f99c-7a34-4190-8149-302f77469936' : given.upstreamTokenAudience
  issuer: readEnvironmentVariable('AZURE_UPSTREAM_TOKEN_ISSUER', '')
}
param allowedOrigins = empty(given.origins) ? [] : map(split(given.origins, ','), each => trim(each))
param limits = {}
param heartBeats = empty(given.heartBeats) || bool(given.heartBeats)
param alertEmail = readEnvironmentVariable('AZURE_ALERT_EMAIL', '')
param budget = {
  amount: empty(given.budget) ? 0 : int(given.budget)
  startDate: readEnvironmentVariable('AZURE_BUDGET_START', '')
}
param deployerId = empty(given.deployerId) ? null : given.deployerId
param deployerType = empty(given.deployerType) ? 'User' : given.deployerType
