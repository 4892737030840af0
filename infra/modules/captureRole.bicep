import { roles } from '../types.bicep'

@description('Object id of the identity that captured messages are written as.')
param principalId string

@description('Name of the storage account.')
param storageName string

@description('Name of the container.')
param container string

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource capture 'containers' existing = { name: container }
  }
}

// Event Hubs' Capture. It comes before the hub, which is refused without it.
resource writes 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage::blobs::capture
  name: guid(storage::blobs::capture.id, principalId, roles['Storage Blob Data Contributor'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Storage Blob Data Contributor']
    )
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
