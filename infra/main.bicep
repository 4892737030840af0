// Everything the app needs in a subscription but the code itself, and what comes after it: the hub's event handler
// and the test from outside (modules/webPubSubHub.bicep). Outputs become azd's environment; the hooks and the
// pipeline read them there.

targetScope = 'subscription'

import {
  authType
  budgetType
  eventHubsType
  functionsType
  hubsType
  limitsType
  logsType
  mysqlConnections
  mysqlSignInType
  mysqlType
  networkType
  redisType
  upstreamType
  webPubSubType
} from 'types.bicep'

@description('Name of the environment: of the resource group, and of all else by way of a hash.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of everything.')
@minLength(1)
param location string

@description('Who can reach the services by network.')
param network networkType

@description('Functions.')
param functions functionsType

@description('Event Hubs.')
param eventHubs eventHubsType

@description('Web PubSub.')
param webPubSub webPubSubType

@description('MySQL.')
param mysql mysqlType

@description('How the app signs in to MySQL.')
param mysqlSignIn mysqlSignInType

@description('Redis.')
param redis redisType

@description('Logs.')
param logs logsType

@description('The identity provider of clients.')
param auth authType

@description('The tokens by which the app knows calls of Web PubSub.')
param upstream upstreamType

@description('Origins of the pages that may connect; empty: all.')
param allowedOrigins string[]

@description('Limits of a user that are not as usual.')
param limits limitsType

@description('Whether clients that want heart-beats get them.')
param heartBeats bool

@description('Who is mailed when an alert fires; empty: nobody.')
param alertEmail string

@description('The monthly budget; an amount of 0: none.')
param budget budgetType

@description('Object id of who deploys; null: who deploys now.')
param deployerId string?

@description('Whether a person or a pipeline deploys.')
param deployerType 'User' | 'ServicePrincipal'

@description('Something random, for the administrator\'s password. Each deployment makes a new one.')
@secure()
param adminSeed string = newGuid()

@description('Something random, for the app\'s password. It is used when there is none yet.')
@secure()
param appSeed string = newGuid()

// modules/webPubSubHub.bicep finds its way by these names: they differ in what stands before the hash alone.
var token = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var isPrivate = network == 'private'
var hasPassword = mysqlSignIn.mode == 'password'
// What the services' names end in. There is no word for them in environment().
var mysqlHost = '${names.mysql}.mysql.database.azure.com'
var webPubSubHost = '${names.webPubSub}.webpubsub.azure.com'
var mysqlAddress = '${mysqlHost}:3306/${names.database}'
var names = {
  group: 'rg-${environmentName}'
  // The app's; by this name the whole deployment calls it.
  app: 'id-app-${token}'
  captureIdentity: 'id-capture-${token}'
  mysqlIdentity: 'id-mysql-${token}'
  workspace: 'log-${token}'
  insights: 'appi-${token}'
  actions: 'ag-${token}'
  storage: 'st${token}'
  deployments: 'deployments'
  capture: eventHubs.capture ? 'capture' : ''
  eventHubs: 'evhns-${token}'
  webPubSub: 'wps-${token}'
  keyVault: 'kv-${token}'
  mysql: 'mysql-${token}'
  database: 'chat'
  redis: 'redis-${token}'
  plan: 'plan-${token}'
  functionApp: 'func-${token}'
  network: 'vnet-${token}'
}
var mysqlUsers = { admin: 'chatadmin', app: 'chat_app' }
var secretNames = { adminPassword: 'mysql-admin-password', url: 'mysql-url' }

// At most so many instances run at a time: those of HTTP, one for each partition that is read, three timers. What is
// always ready comes on top of functions.maximumInstanceCount, which is of those on demand; a reader never has more
// instances than partitions. In several zones the platform keeps two of every group ready. Each instance holds a
// pool of connections. A server that refuses them (error 1040) stops everything, so this stops before.
var leastReady = functions.zoneRedundant ? 2 : 0
var ready = {
  http: max(functions.alwaysReady.http, leastReady)
  'chat-messages': max(functions.alwaysReady.chatMessages, leastReady)
}
var hubs hubsType = loadJsonContent('hubs.json').hubs
var readers = reduce(
  map(
    filter(items(hubs), each => !empty(each.value.consumerGroups)),
    each =>
      min(
        functions.maximumInstanceCount + (ready[?each.key] ?? leastReady),
        eventHubs.?partitions[?each.key] ?? each.value.partitions
      )
  ),
  0,
  (sum, each) => sum + each
)
var timers = 3 * max(leastReady, 1)
var connections = (functions.maximumInstanceCount + ready.http + readers + timers) * mysql.poolSize
var connectionLimit = mysqlConnections[mysql.sku] * 8 / 10
var poolSize = connections <= connectionLimit
  ? mysql.poolSize
  : fail('The app could open ${connections} connections, and four fifths of what ${mysql.sku} takes are ${connectionLimit}: lower functions.maximumInstanceCount or mysql.poolSize, or take a bigger server.')

var jwksUri = startsWith(auth.jwksUri, 'https://')
  ? auth.jwksUri
  : fail('AUTH_JWKS_URI must begin with https://: who can change the keys on their way can pose as any user.')

var budgetStart = budget.amount > 0 && empty(budget.startDate)
  ? fail('AZURE_BUDGET_START has to name the first day of the month in which the budget is made, like 2026-12-01.')
  : budget.startDate

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: names.group
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    names: { app: names.app, capture: names.captureIdentity, mysql: names.mysqlIdentity }
    hasCapture: eventHubs.capture
    hasMysql: !hasPassword
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    names: { workspace: names.workspace, insights: names.insights, actions: names.actions }
    logs: logs
    alertEmail: alertEmail
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    name: names.storage
    network: network
    deployments: names.deployments
    capture: names.capture
    captureDays: eventHubs.captureDays
    zoneRedundant: functions.zoneRedundant
    workspaceId: monitoring.outputs.workspaceId
  }
}

module captureRole 'modules/captureRole.bicep' = if (eventHubs.capture) {
  scope: group
  params: {
    #disable-next-line what-if-short-circuiting // as of the other roles below
    principalId: identity.outputs.?capturePrincipalId ?? ''
    storageName: names.storage
    container: names.capture
  }
  dependsOn: [storage]
}

module hubsModule 'modules/eventHubs.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    name: names.eventHubs
    eventHubs: eventHubs
    network: network
    capture: eventHubs.capture
      ? {
          storageId: storage.outputs.id
          container: names.capture
          identityId: identity.outputs.?captureId ?? ''
        }
      : null
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [captureRole]
}

module sockets 'modules/webPubSub.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    name: names.webPubSub
    webPubSub: webPubSub
    network: network
    workspaceId: monitoring.outputs.workspaceId
  }
}

module keyVault 'modules/keyVault.bicep' = if (hasPassword) {
  scope: group
  params: {
    location: location
    tags: tags
    name: names.keyVault
    network: network
    urlEntry: secretNames.url
    mysqlAddress: mysqlAddress
    mysqlUser: mysqlUsers.app
    appSeed: appSeed
    workspaceId: monitoring.outputs.workspaceId
  }
}

module database 'modules/mysql.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    name: names.mysql
    mysql: mysql
    signIn: mysqlSignIn
    network: network
    database: names.database
    adminUser: mysqlUsers.admin
    // A capital makes the four kinds of characters that the server wants; a GUID has the rest.
    adminPassword: 'N${adminSeed}'
    // In Entra mode the server wants a password, too, and nobody keeps it.
    passwordSecret: hasPassword ? { vault: names.keyVault, name: secretNames.adminPassword } : null
    identityId: identity.outputs.?mysqlId
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [keyVault]
}

module cache 'modules/redis.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    name: names.redis
    redis: redis
    network: network
    appPrincipalId: identity.outputs.appPrincipalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module roleAssignments 'modules/roles.bicep' = {
  scope: group
  params: {
    #disable-next-line what-if-short-circuiting // the names follow the identity, as an assignment can't change hands
    appPrincipalId: identity.outputs.appPrincipalId
    deployerId: deployerId ?? deployer().objectId
    deployerType: deployerType
    names: {
      storage: names.storage
      deployments: names.deployments
      eventHubs: names.eventHubs
      webPubSub: names.webPubSub
      insights: names.insights
      keyVault: hasPassword ? names.keyVault : ''
    }
  }
  dependsOn: [storage, hubsModule, sockets, keyVault]
}

// One zone for each kind of service. The words are the services' own.
var zones = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  table: 'privatelink.table.${environment().suffixes.storage}'
  namespace: 'privatelink.servicebus.windows.net'
  webpubsub: 'privatelink.webpubsub.azure.com'
  mysqlServer: 'privatelink.mysql.database.azure.com'
  redisEnterprise: 'privatelink.redis.azure.net'
  vault: 'privatelink.vaultcore.azure.net'
}

module virtualNetwork 'modules/network.bicep' = if (isPrivate) {
  scope: group
  params: {
    location: location
    tags: tags
    name: names.network
    zones: map(filter(items(zones), each => hasPassword || each.key != 'vault'), each => each.value)
  }
}

var endpoints = [
  { part: 'blob', target: names.storage, type: 'Microsoft.Storage/storageAccounts' }
  { part: 'table', target: names.storage, type: 'Microsoft.Storage/storageAccounts' }
  { part: 'namespace', target: names.eventHubs, type: 'Microsoft.EventHub/namespaces' }
  { part: 'webpubsub', target: names.webPubSub, type: 'Microsoft.SignalRService/webPubSub' }
  { part: 'mysqlServer', target: names.mysql, type: 'Microsoft.DBforMySQL/flexibleServers' }
  { part: 'redisEnterprise', target: names.redis, type: 'Microsoft.Cache/redisEnterprise' }
  { part: 'vault', target: names.keyVault, type: 'Microsoft.KeyVault/vaults' }
]

module endpoint 'modules/privateEndpoint.bicep' = [
  for each in filter(endpoints, each => isPrivate && (hasPassword || each.part != 'vault')): {
    scope: group
    params: {
      location: location
      tags: tags
      name: 'pe-${each.target}-${each.part}'
      targetId: resourceId(subscription().subscriptionId, names.group, each.type, each.target)
      part: each.part
      zone: zones[each.part]
      subnetId: virtualNetwork!.outputs.endpointSubnetId
    }
    dependsOn: [storage, hubsModule, sockets, database, cache, keyVault]
  }
]

// A setting for each limit, so that an operator finds it. The usual values are those of shared/config.ts.
var usualLimits = {
  SESSION_LIMIT: 3
  RATE_LIMIT_PER_MINUTE: 60
  RATE_LIMIT_READS_PER_MINUTE: 600
  RATE_LIMIT_SUBSCRIBES_PER_MINUTE: 600
  RATE_LIMIT_UNSUBSCRIBES_PER_MINUTE: 600
  RATE_LIMIT_NEGOTIATES_PER_MINUTE: 30
  RATE_LIMIT_WRITES_PER_MINUTE: 60
  RATE_LIMIT_LOOKUPS_PER_MINUTE: 600
  RATE_LIMIT_HANDSHAKES_PER_MINUTE: 120
  RATE_LIMIT_EMPTY_MESSAGES_PER_MINUTE: 120
  RATE_LIMIT_PIECES_PER_MINUTE: 1200
}

var directory = '${environment().authentication.loginEndpoint}${tenant().tenantId}'
var clientId = identity.outputs.appClientId

// What the host itself reads. A plain AzureWebJobsStorage, even an empty one, would win over these.
var hostSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId
  AzureWebJobsStorage__blobServiceUri: storage.outputs.blobEndpoint
  AzureWebJobsStorage__tableServiceUri: storage.outputs.tableEndpoint
  AzureFunctionsJobHost__telemetryMode: 'OpenTelemetry'
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
}

// What shared/config.ts reads.
var appSettings = {
  AZURE_CLIENT_ID: clientId
  WEB_PUBSUB_CONNECTION: 'Endpoint=https://${webPubSubHost};Version=1.0;'
  WEB_PUBSUB_ENTRA_ISSUER: empty(upstream.issuer) ? '${directory}/v2.0' : upstream.issuer
  WEB_PUBSUB_ENTRA_AUDIENCE: upstream.audience
  WEB_PUBSUB_ENTRA_OBJECT_ID: sockets.outputs.principalId
  WEB_PUBSUB_ENTRA_JWKS_URI: '${directory}/discovery/v2.0/keys'
  EVENT_HUBS_CONNECTION__fullyQualifiedNamespace: '${names.eventHubs}.servicebus.windows.net'
  EVENT_HUBS_CONNECTION__credential: 'managedidentity'
  EVENT_HUBS_CONNECTION__clientId: clientId
  // A reference: the platform puts the secret in, and nobody reads it in the portal.
  MYSQL_URL: hasPassword
    ? '@Microsoft.KeyVault(VaultName=${names.keyVault};SecretName=${secretNames.url})'
    : 'mysql://${mysqlUsers.app}@${mysqlAddress}'
  MYSQL_ENTRA: hasPassword ? 'false' : 'true'
  MYSQL_POOL_SIZE: string(poolSize)
  REDIS_URL: cache.outputs.url
  REDIS_CLUSTER: redis.clustering == 'NoCluster' ? 'false' : 'true'
  REDIS_ENTRA: 'true'
  AUTH_ISSUER: auth.issuer
  AUTH_AUDIENCE: auth.audience
  AUTH_JWKS_URI: jwksUri
  ALLOWED_ORIGINS: join(allowedOrigins, ',')
  HEART_BEATS: heartBeats ? 'true' : 'false'
  AUDIT: 'report'
  AUDIT_SCHEDULE: '0 30 3 * * *'
}

module app 'modules/functions.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    names: { plan: names.plan, app: names.functionApp }
    functions: functions
    identityId: identity.outputs.appId
    settings: union(hostSettings, appSettings, mapValues(union(usualLimits, limits), each => string(each)))
    allowedOrigins: allowedOrigins
    deploymentContainer: '${storage.outputs.blobEndpoint}${names.deployments}'
    subnetId: isPrivate ? virtualNetwork!.outputs.appSubnetId : null
    workspaceId: monitoring.outputs.workspaceId
  }
  // The host reads its storage at once, and a role takes a while to be known everywhere.
  dependsOn: [roleAssignments, endpoint]
}

module metricAlerts 'modules/metricAlerts.bicep' = {
  scope: group
  params: {
    tags: tags
    targets: {
      eventHubs: hubsModule.outputs.id
      webPubSub: sockets.outputs.id
      mysql: database.outputs.id
      redis: cache.outputs.id
      storage: storage.outputs.id
    }
    deadLetterHubs: hubsModule.outputs.deadLetterHubs
    mysqlConnections: mysqlConnections[mysql.sku]
    actionsId: monitoring.outputs.actionsId
  }
}

module logAlerts 'modules/logAlerts.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    hasRequestLogs: webPubSub.requestLogs
    actionsId: monitoring.outputs.actionsId
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module monthly 'modules/budget.bicep' = if (budget.amount > 0) {
  scope: group
  params: {
    budget: { amount: budget.amount, startDate: budgetStart }
    actionsId: monitoring.outputs.actionsId
  }
}

@description('Resource group of everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Region.')
output AZURE_LOCATION string = location

@description('Tenant.')
output AZURE_TENANT_ID string = tenant().tenantId

@description('Function app.')
output AZURE_FUNCTION_APP_NAME string = names.functionApp

@description('Its address, without a slash at the end.')
output AZURE_FUNCTION_APP_URL string = app.outputs.url

@description('Client id of the app\'s identity. Pipelines know their own as AZURE_CLIENT_ID.')
output AZURE_APP_CLIENT_ID string = clientId

@description('Name of the app\'s identity.')
output AZURE_APP_IDENTITY_NAME string = names.app

@description('MySQL server.')
output AZURE_MYSQL_SERVER_NAME string = names.mysql

@description('Its host.')
output AZURE_MYSQL_HOST string = mysqlHost

@description('The database.')
output AZURE_MYSQL_DATABASE string = names.database

@description('password or entra.')
output AZURE_MYSQL_MODE string = mysqlSignIn.mode

@description('Who administers it: a user with the password in Key Vault, or the directory\'s user or group.')
output AZURE_MYSQL_ADMIN_USER string = mysqlSignIn.mode == 'entra' ? mysqlSignIn.adminLogin : mysqlUsers.admin

@description('The user that the app signs in as. The hook after provisioning makes it.')
output AZURE_MYSQL_APP_USER string = mysqlUsers.app

@description('Key Vault; empty where no password is kept.')
output AZURE_KEY_VAULT_NAME string = hasPassword ? names.keyVault : ''

#disable-next-line outputs-should-not-contain-secrets // the name, not the password
@description('Name of the secret with the administrator\'s password.')
output AZURE_MYSQL_PASSWORD_SECRET_NAME string = hasPassword ? secretNames.adminPassword : ''

@description('Name of the secret with the app\'s whole MYSQL_URL, its password in it.')
output AZURE_MYSQL_URL_SECRET_NAME string = hasPassword ? secretNames.url : ''

@description('Web PubSub.')
output AZURE_WEB_PUBSUB_NAME string = names.webPubSub

@description('Its host.')
output AZURE_WEB_PUBSUB_HOST string = webPubSubHost

@description('For what it asks the tokens of its calls.')
output AZURE_UPSTREAM_AUDIENCE string = upstream.resource

@description('Event Hubs namespace.')
output AZURE_EVENT_HUBS_NAMESPACE string = names.eventHubs

@description('Storage account.')
output AZURE_STORAGE_ACCOUNT_NAME string = names.storage

@description('public or private.')
output AZURE_NETWORK string = network
