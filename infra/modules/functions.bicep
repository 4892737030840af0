import { functionsType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Names of the plan and of the app. The app\'s is also the host\'s, to 60 characters.')
param names { plan: string, app: string }

@description('Instances, memory, zones.')
param functions functionsType

@description('Resource id of the app\'s identity.')
param identityId string

@description('The app\'s settings, without those that stand here.')
param settings { *: string }

@description('Origins of pages that may call the app; empty: all.')
param allowedOrigins string[]

@description('Address of the container that the code is deployed to.')
param deploymentContainer string

@description('The subnet that the app calls from; null: none.')
param subnetId string?

@description('Resource id of the workspace that logs go to.')
param workspaceId string

var alwaysReadyOf = {
  http: functions.alwaysReady.http
  // In lower case, as the platform itself writes the function's name (functions/chatMessages.ts).
  'function:chatmessages': functions.alwaysReady.chatMessages
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: names.plan
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: functions.zoneRedundant }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: names.app
  location: location
  // By this tag azd finds where the service `api` is deployed to.
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: subnetId
    // The host's /admin addresses answer nobody; deployments go another way.
    #disable-next-line BCP037 // documented, and in no version's types
    functionsRuntimeAdminIsolationEnabled: true
    siteConfig: {
      minTlsVersion: '1.2'
      http20Enabled: true
      cors: { allowedOrigins: empty(allowedOrigins) ? ['*'] : allowedOrigins, supportCredentials: false }
      appSettings: [for each in items(settings): { name: each.key, value: each.value }]
    }
    functionAppConfig: {
      runtime: { name: 'node', version: '22' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainer
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      #disable-next-line BCP037 // documented, and in no version's types
      siteUpdateStrategy: { type: functions.siteUpdate }
      scaleAndConcurrency: {
        instanceMemoryMB: functions.instanceMemoryMB
        maximumInstanceCount: functions.maximumInstanceCount
        alwaysReady: [
          for each in filter(items(alwaysReadyOf), group => group.value > 0): {
            name: each.key
            instanceCount: functions.zoneRedundant ? max(each.value, 2) : each.value
          }
        ]
        triggers: { http: { perInstanceConcurrency: functions.httpConcurrency } }
      }
    }
  }
}

// The code comes in with an Entra token, never with a publishing password.
resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

// No logs: the app's own go to Application Insights, and would be paid for twice.
#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the app.')
output id string = app.id

@description('Address of the app, without a slash at its end.')
output url string = 'https://${app.properties.defaultHostName}'
