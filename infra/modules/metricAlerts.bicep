// What the services themselves measure. Names of metrics and dimensions are plain text to the compiler: a test
// looks each up in a list of what there is.

import { metricAlertType } from '../types.bicep'

@description('Tags.')
param tags { *: string }

@description('What is watched, by resource id.')
param targets { eventHubs: string, webPubSub: string, mysql: string, redis: string, storage: string }

@description('Hubs of what nobody could store.')
param deadLetterHubs string[]

@description('Connections that the MySQL server takes.')
param mysqlConnections int

@description('Who is told.')
param actionsId string

var alerts metricAlertType[] = [
  {
    name: 'dead-letters'
    description: 'Events were put aside that can never be stored. Runbook: dead letters.'
    target: 'eventHubs'
    severity: 1
    metric: 'IncomingMessages'
    aggregation: 'Total'
    threshold: 0
    window: 'PT5M'
    dimension: { name: 'EntityName', values: deadLetterHubs }
  }
  {
    name: 'event-hubs-throttled'
    description: 'The namespace refuses requests: it has too few units.'
    target: 'eventHubs'
    severity: 2
    metric: 'ThrottledRequests'
    aggregation: 'Total'
    threshold: 0
    window: 'PT5M'
  }
  {
    name: 'event-hubs-server-errors'
    description: 'The namespace fails by itself.'
    target: 'eventHubs'
    severity: 2
    metric: 'ServerErrors'
    aggregation: 'Total'
    threshold: 10
    window: 'PT15M'
  }
  {
    name: 'event-hubs-quota'
    description: 'A quota of the namespace is used up.'
    target: 'eventHubs'
    severity: 1
    metric: 'QuotaExceededErrors'
    aggregation: 'Total'
    threshold: 0
    window: 'PT5M'
  }
  {
    name: 'connection-quota'
    description: 'The units of Web PubSub hold few connections more. Past 100 % clients are refused.'
    target: 'webPubSub'
    severity: 2
    metric: 'ConnectionQuotaUtilization'
    aggregation: 'Maximum'
    threshold: 80
    window: 'PT5M'
  }
  {
    name: 'web-pubsub-load'
    description: 'Web PubSub is near what its units can do. Above 70 % messages come late.'
    target: 'webPubSub'
    severity: 2
    metric: 'ServerLoad'
    aggregation: 'Average'
    threshold: 70
    window: 'PT5M'
  }
  {
    name: 'connections-throttled'
    description: 'Web PubSub closes connections because of its own limits, or because the app failed to answer.'
    target: 'webPubSub'
    severity: 2
    metric: 'ConnectionCloseCount'
    aggregation: 'Total'
    threshold: 20
    window: 'PT5M'
    dimension: {
      name: 'ConnectionCloseCategory'
      values: ['Throttled', 'SendEventFailed', 'EventHandlerNotFound', 'ServiceTransientError']
    }
  }
  {
    name: 'mysql-connections'
    description: 'The server takes few connections more. Past its limit they are refused (error 1040).'
    target: 'mysql'
    severity: 2
    metric: 'active_connections'
    aggregation: 'Maximum'
    threshold: mysqlConnections * 8 / 10
    window: 'PT5M'
  }
  {
    name: 'mysql-cpu'
    description: 'The server is busy.'
    target: 'mysql'
    severity: 2
    metric: 'cpu_percent'
    aggregation: 'Average'
    threshold: 80
    window: 'PT15M'
  }
  {
    name: 'mysql-memory'
    description: 'The server has little memory left.'
    target: 'mysql'
    severity: 2
    metric: 'memory_percent'
    aggregation: 'Average'
    threshold: 95
    window: 'PT15M'
  }
  {
    name: 'mysql-storage'
    description: 'The storage is nearly full. It grows by itself; when it can\'t, the server becomes read-only.'
    target: 'mysql'
    severity: 1
    metric: 'storage_percent'
    aggregation: 'Maximum'
    threshold: 85
    window: 'PT15M'
  }
  {
    name: 'mysql-io'
    description: 'The storage can\'t be read and written faster.'
    target: 'mysql'
    severity: 3
    metric: 'io_consumption_percent'
    aggregation: 'Average'
    threshold: 90
    window: 'PT15M'
  }
  {
    name: 'redis-memory'
    description: 'Redis is nearly full. A full one refuses writes, so that limits are open.'
    target: 'redis'
    severity: 2
    metric: 'usedmemorypercentage'
    aggregation: 'Maximum'
    threshold: 80
    window: 'PT15M'
  }
  {
    name: 'redis-errors'
    description: 'Redis has errors of its own.'
    target: 'redis'
    severity: 3
    metric: 'errors'
    isListed: false
    aggregation: 'Maximum'
    threshold: 0
    window: 'PT15M'
  }
  {
    name: 'redis-cpu'
    description: 'Redis is busy.'
    target: 'redis'
    severity: 3
    metric: 'percentProcessorTime'
    aggregation: 'Maximum'
    threshold: 80
    window: 'PT15M'
  }
  {
    name: 'storage-unavailable'
    description: 'The host\'s storage fails: without it the host can\'t start, and readers can\'t note where they are.'
    target: 'storage'
    severity: 1
    metric: 'Availability'
    aggregation: 'Average'
    operator: 'LessThan'
    threshold: 99
    window: 'PT15M'
  }
]

var namespaces = {
  eventHubs: 'Microsoft.EventHub/namespaces'
  webPubSub: 'Microsoft.SignalRService/webPubSub'
  mysql: 'Microsoft.DBforMySQL/flexibleServers'
  redis: 'Microsoft.Cache/redisEnterprise'
  storage: 'Microsoft.Storage/storageAccounts'
}

resource alert 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for each in alerts: {
    name: each.name
    location: 'global'
    tags: tags
    properties: {
      description: each.description
      severity: each.severity
      enabled: true
      autoMitigate: true
      scopes: [targets[each.target]]
      evaluationFrequency: each.window == 'PT5M' ? 'PT1M' : 'PT5M'
      windowSize: each.window
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: each.name
            metricNamespace: namespaces[each.target]
            metricName: each.metric
            timeAggregation: each.aggregation
            operator: each.?operator ?? 'GreaterThan'
            threshold: each.threshold
            skipMetricValidation: !(each.?isListed ?? true)
            dimensions: contains(each, 'dimension')
              ? [{ name: each.dimension!.name, operator: 'Include', values: each.dimension!.values }]
              : []
          }
        ]
      }
      actions: [{ actionGroupId: actionsId }]
    }
  }
]
