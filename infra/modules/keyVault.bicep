import { networkType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Name: 24 characters at most, which the compiler doesn\'t know.')
@minLength(3)
@maxLength(24)
param name string

@description('Who can reach it.')
param network networkType

@description('Name of the secret with the app\'s whole MYSQL_URL.')
param urlEntry string

@description('Where the app connects to, without user and password: HOST:PORT/DATABASE.')
param mysqlAddress string

@description('The app\'s user.')
param mysqlUser string

@description('Something random, which becomes the app\'s password if there is none.')
@secure()
param appSeed string

@description('Resource id of the workspace that logs go to.')
param workspaceId string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { family: 'A', name: 'standard' }
    tenantId: tenant().tenantId
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
    networkAcls: { bypass: 'AzureServices', defaultAction: network == 'private' ? 'Deny' : 'Allow' }
  }
}

// Written once: a deployment that finds it leaves it as it is, as running instances go on with what they read. The
// whole address, as a reference to Key Vault stands for a whole setting. The app's password is nowhere else: what
// makes the app's user reads it here. The capital makes the four kinds of characters that the server wants.
@onlyIfNotExists()
resource url 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: urlEntry
  properties: { value: 'mysql://${mysqlUser}:N${appSeed}@${mysqlAddress}', contentType: 'text/plain' }
}

#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the vault.')
output id string = vault.id
