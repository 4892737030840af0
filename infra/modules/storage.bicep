import { networkType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Name: 3 to 24 lower-case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Who can reach it.')
param network networkType

@description('The container that the code is deployed to.')
param deployments string

@description('The container that captured messages go to; empty: none.')
param capture string

@description('Days that captured messages are kept.')
param captureDays int

@description('Copies in three zones instead of one: what the code is read from survives a zone, too.')
param zoneRedundant bool

@description('Resource id of the workspace that logs go to.')
param workspaceId string

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
    // Event Hubs' Capture comes in as a trusted service.
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: network == 'private' ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 7 }
    containerDeleteRetentionPolicy: { enabled: true, days: 7 }
  }
}

resource deploymentContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: blobs
  name: deployments
  properties: { publicAccess: 'None' }
}

resource captureContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = if (!empty(capture)) {
  parent: blobs
  name: empty(capture) ? 'none' : capture
  properties: { publicAccess: 'None' }
}

resource rules 'Microsoft.Storage/storageAccounts/managementPolicies@2025-08-01' = if (!empty(capture)) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'captured-messages-end'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob', 'appendBlob'], prefixMatch: ['${capture}/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: captureDays } } }
          }
        }
      ]
    }
  }
}

// Reads and writes are not logged: the host renews its leases every few seconds.
#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'StorageDelete', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

@description('Resource id of the account.')
output id string = account.id

@description('Address of the blobs, which ends with a slash.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('Address of the tables, which ends with a slash.')
output tableEndpoint string = account.properties.primaryEndpoints.table
