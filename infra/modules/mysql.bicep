import { mysqlSignInType, mysqlType, networkType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Name, which is also the host\'s: NAME.mysql.database.azure.com.')
@minLength(3)
@maxLength(63)
param name string

@description('Size and backups.')
param mysql mysqlType

@description('How the app signs in.')
param signIn mysqlSignInType

@description('Who can reach it.')
param network networkType

@description('Name of the database.')
param database string

@description('Name of the administrator with a password. The server wants one also where nobody uses it.')
param adminUser string

@description('That administrator\'s password from now on.')
@secure()
param adminPassword string

@description('Where that password is kept: the vault, the secret; null: nowhere.')
param passwordSecret { vault: string, name: string }?

@description('Resource id of the identity that the server reads the directory as, where people sign in by it.')
param identityId string?

@description('Resource id of the workspace that logs go to.')
param workspaceId string

var isBurstable = startsWith(mysql.sku, 'Standard_B')
var highAvailability = isBurstable && mysql.highAvailability != 'Disabled'
  ? fail('A burstable MySQL server has no high availability: choose another size, or Disabled.')
  : mysql.highAvailability

resource server 'Microsoft.DBforMySQL/flexibleServers@2024-12-30' = {
  name: name
  location: location
  tags: tags
  sku: { name: mysql.sku, tier: isBurstable ? 'Burstable' : 'GeneralPurpose' }
  identity: identityId == null ? null : { type: 'UserAssigned', userAssignedIdentities: { '${identityId!}': {} } }
  properties: {
    version: '8.4'
    administratorLogin: adminUser
    administratorLoginPassword: adminPassword
    storage: { storageSizeGB: mysql.storageGB, autoGrow: 'Enabled', autoIoScaling: 'Enabled' }
    backup: {
      backupRetentionDays: mysql.backupDays
      geoRedundantBackup: mysql.geoRedundantBackup ? 'Enabled' : 'Disabled'
    }
    highAvailability: { mode: highAvailability }
    // Private means by a private endpoint. This choice and that of a subnet of its own exclude each other for good.
    network: { publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled' }
  }
}

// Each deployment gives the server a new password and the vault the same one, so that neither can have one that the
// other hasn't. Only the hooks sign in with it, and they read it each time. To read it here instead would need the
// vault before the deployment: it is looked for before anything is made (Azure/bicep #10562). After the server, so
// that a server that could not be changed goes on with what is kept.
resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: passwordSecret.?vault ?? 'none'
}

resource password 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (passwordSecret != null) {
  parent: vault
  name: passwordSecret.?name ?? 'none'
  properties: { value: adminPassword, contentType: 'text/plain' }
  dependsOn: [server]
}

// From here on one after the other: the server refuses several changes at a time ("server busy").
resource chat 'Microsoft.DBforMySQL/flexibleServers/databases@2024-12-30' = {
  parent: server
  name: database
  properties: { charset: 'utf8mb4', collation: 'utf8mb4_0900_ai_ci' }
}

var configurations = concat(
  [
    // TLS 1.2 is the least by itself. tls_version says so too, but a change of it waits for a restart.
    { name: 'require_secure_transport', value: 'ON' }
    { name: 'slow_query_log', value: 'ON' }
    // Seconds.
    { name: 'long_query_time', value: '2' }
  ],
  // Nobody signs in with a password any more.
  signIn.mode == 'entra' ? [{ name: 'aad_auth_only', value: 'ON' }] : []
)

resource admin 'Microsoft.DBforMySQL/flexibleServers/administrators@2024-12-30' = if (signIn.mode == 'entra') {
  parent: server
  name: 'ActiveDirectory'
  properties: {
    administratorType: 'ActiveDirectory'
    identityResourceId: identityId
    login: signIn.mode == 'entra' ? signIn.adminLogin : ''
    sid: signIn.mode == 'entra' ? signIn.adminObjectId : ''
    tenantId: tenant().tenantId
  }
  dependsOn: [chat]
}

// After the administrator: aad_auth_only shuts all others out.
@batchSize(1)
resource configuration 'Microsoft.DBforMySQL/flexibleServers/configurations@2024-12-30' = [
  for each in configurations: {
    parent: server
    name: each.name
    properties: { value: each.value, source: 'user-override' }
    dependsOn: [chat, admin]
  }
]

// The function app's addresses are not known before, so every service of Azure is let in, of other customers
// too: to the sign-in, which still wants a password or a token, and TLS. A private network has no such rule.
resource azureServices 'Microsoft.DBforMySQL/flexibleServers/firewallRules@2024-12-30' = if (network == 'public') {
  parent: server
  name: 'azure-services'
  properties: { startIpAddress: '0.0.0.0', endIpAddress: '0.0.0.0' }
  dependsOn: [configuration]
}

#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: server
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the server.')
output id string = server.id
