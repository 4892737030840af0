import { networkType, redisType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Name.')
@minLength(3)
@maxLength(60)
param name string

@description('Size and clustering.')
param redis redisType

@description('Who can reach it.')
param network networkType

@description('Object id of the app\'s identity, by which it signs in.')
param appPrincipalId string

@description('Resource id of the workspace that logs go to.')
param workspaceId string

resource cluster 'Microsoft.Cache/redisEnterprise@2025-07-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: redis.sku }
  properties: {
    minimumTlsVersion: '1.2'
    highAvailability: redis.highAvailability ? 'Enabled' : 'Disabled'
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
  }
}

resource database 'Microsoft.Cache/redisEnterprise/databases@2025-07-01' = {
  parent: cluster
  name: 'default'
  properties: {
    clientProtocol: 'Encrypted'
    port: 10000
    clusteringPolicy: redis.clustering
    // An evicted session would have a slot that nobody counts.
    evictionPolicy: 'NoEviction'
    accessKeysAuthentication: 'Disabled'
  }
}

// shared/redis/redis.ts signs in with a token of this identity.
resource app 'Microsoft.Cache/redisEnterprise/databases/accessPolicyAssignments@2025-07-01' = {
  parent: database
  name: 'app'
  properties: { accessPolicyName: 'default', user: { objectId: appPrincipalId } }
}

#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource metrics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: cluster
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

#disable-next-line use-recent-api-versions // the only version with metrics and logs together
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: database
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

@description('Resource id of the cluster.')
output id string = cluster.id

@description('What the app calls REDIS_URL: TLS, no password.')
output url string = 'rediss://${cluster.properties.hostName}:10000'
