import { eventHubsType, hubsType, networkType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Name of the namespace. Its pattern wants 8 characters or more.')
@minLength(8)
@maxLength(50)
param name string

@description('Tier, units and partitions.')
param eventHubs eventHubsType

@description('Who can reach it.')
param network networkType

@description('Where captured messages go, and as whom; null: they are not captured.')
param capture { storageId: string, container: string, identityId: string }?

@description('Resource id of the workspace that logs go to.')
param workspaceId string

// The one table of hubs. Tests compare it with the code's (shared/events/hubs.ts) and with the local one.
var hubs hubsType = loadJsonContent('../hubs.json').hubs
var isStandard = eventHubs.tier == 'Standard'
var mayGrow = isStandard && eventHubs.maximumThroughputUnits > eventHubs.capacity
// Standard keeps events for 7 days at most, Premium for 90.
var retentionLimit = isStandard ? 168 : 2160
var captured = {
  enabled: true
  encoding: 'Avro'
  intervalInSeconds: 300
  sizeLimitInBytes: 104857600
  skipEmptyArchives: true
  destination: {
    name: 'EventHubArchive.AzureBlockBlob'
    identity: { type: 'UserAssigned', userAssignedIdentity: capture.?identityId }
    properties: {
      storageAccountResourceId: capture.?storageId
      blobContainer: capture.?container
      archiveNameFormat: '{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}'
    }
  }
}

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: eventHubs.tier, tier: eventHubs.tier, capacity: eventHubs.capacity }
  identity: capture == null ? null : { type: 'UserAssigned', userAssignedIdentities: { '${capture!.identityId}': {} } }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
    isAutoInflateEnabled: mayGrow
    maximumThroughputUnits: mayGrow ? eventHubs.maximumThroughputUnits : 0
    kafkaEnabled: true
    zoneRedundant: true
  }
}

// A hub is never made anew: the app counts its events from the hub's making on, and what waits in it would be
// lost. A deployment with another number of partitions fails in Standard, and that is right.
resource hub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' = [
  for each in items(hubs): {
    parent: namespace
    name: each.key
    properties: {
      partitionCount: eventHubs.?partitions[?each.key] ?? each.value.partitions
      retentionDescription: {
        cleanupPolicy: each.value.cleanup == 'delete' ? 'Delete' : 'Compact'
        retentionTimeInHours: min(each.value.retentionHours, retentionLimit)
      }
      captureDescription: capture != null && each.key == 'chat-messages' ? captured : null
    }
  }
]

var groups = flatten(map(items(hubs), each => map(each.value.consumerGroups, group => { hub: each.key, name: group })))

// One after the other: the service answers "busy" to many at a time.
@batchSize(1)
resource group 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2026-01-01' = [
  for each in groups: {
    name: '${name}/${each.hub}/${each.name}'
    dependsOn: [hub]
  }
]

#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the namespace.')
output id string = namespace.id

@description('The hubs of what nobody could store.')
output deadLetterHubs string[] = filter(objectKeys(hubs), each => endsWith(each, '-dlt'))
