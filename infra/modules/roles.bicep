// Who may do what, each with the call that needs it. There is one other assignment: that of Capture's identity
// (captureRole.bicep). Redis has its own (redis.bicep), MySQL its GRANTs (the hook after provisioning).

import { roles } from '../types.bicep'

@description('Object id of the app\'s identity.')
param appPrincipalId string

@description('Object id of who deploys.')
param deployerId string

@description('Whether that is a person or a pipeline.')
param deployerType 'User' | 'ServicePrincipal'

@description('Names of what the roles are for. An empty one isn\'t there.')
param names {
  storage: string
  deployments: string
  eventHubs: string
  webPubSub: string
  insights: string
  keyVault: string
}

var hasVault = !empty(names.keyVault)

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: names.storage

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource deployments 'containers' existing = { name: names.deployments }
  }
}

resource eventHubs 'Microsoft.EventHub/namespaces@2026-01-01' existing = { name: names.eventHubs }

resource webPubSub 'Microsoft.SignalRService/webPubSub@2024-03-01' existing = { name: names.webPubSub }

resource insights 'Microsoft.Insights/components@2020-02-02' existing = { name: names.insights }

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = { name: hasVault ? names.keyVault : 'none' }

// The host: its leases and keys, the timers' locks, the readers' checkpoints. It reads the code from the
// container of deployments. It makes containers, so that the role is the owner's.
resource appBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, appPrincipalId, roles['Storage Blob Data Owner'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Storage Blob Data Owner']
    )
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// The host: it writes what went wrong when it started to a table (AzureFunctionsDiagnosticEvents).
resource appTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, appPrincipalId, roles['Storage Table Data Contributor'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Storage Table Data Contributor']
    )
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// The triggers of functions/chatMessages.ts and readEvents.ts; `readRange` of shared/bus/eventHubs.ts. At a
// consumer group's scope the trigger would be refused.
resource appReceives 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: eventHubs
  name: guid(eventHubs.id, appPrincipalId, roles['Azure Event Hubs Data Receiver'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Azure Event Hubs Data Receiver']
    )
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// `publish` of shared/bus/eventHubs.ts: accepted messages and reads, and dead letters.
resource appSends 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: eventHubs
  name: guid(eventHubs.id, appPrincipalId, roles['Azure Event Hubs Data Sender'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Azure Event Hubs Data Sender']
    )
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// shared/broadcast/webPubSub.ts: clients' tokens (:generateToken), messages to groups and connections, the
// members of groups, closing a connection.
resource appBroadcasts 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: webPubSub
  name: guid(webPubSub.id, appPrincipalId, roles['Web PubSub Service Owner'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Web PubSub Service Owner']
    )
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// The host's and the app's telemetry (APPLICATIONINSIGHTS_AUTHENTICATION_STRING).
resource appMeasures 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, appPrincipalId, roles['Monitoring Metrics Publisher'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Monitoring Metrics Publisher']
    )
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// The platform: it puts the secret in for MYSQL_URL's reference.
resource appSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasVault) {
  scope: vault
  name: guid(vault.id, appPrincipalId, roles['Key Vault Secrets User'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Key Vault Secrets User'])
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// `azd deploy`, `func azure functionapp publish`: the package is put into this container.
resource deploys 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage::blobs::deployments
  name: guid(storage::blobs::deployments.id, deployerId, roles['Storage Blob Data Contributor'])
  properties: {
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Storage Blob Data Contributor']
    )
    principalId: deployerId
    principalType: deployerType
  }
}

// The hook after provisioning: it reads the administrator's password and the app's to make the app's user.
resource deployerSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasVault) {
  scope: vault
  name: guid(vault.id, deployerId, roles['Key Vault Secrets User'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Key Vault Secrets User'])
    principalId: deployerId
    principalType: deployerType
  }
}
