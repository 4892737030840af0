// What the app measures, and what only logs have. The app's metrics stand in the table AppMetrics under the names of
// shared/platform; a test looks each up. What is told as a gauge has its value in Sum: the exporter for Azure Monitor
// sends the least and the most of histograms only, so that Min and Max of a gauge are empty.

import { logAlertType } from '../types.bicep'

@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Resource id of the workspace that is asked.')
param workspaceId string

@description('Whether Web PubSub logs the requests that it answers.')
param hasRequestLogs bool

@description('Who is told.')
param actionsId string

var alerts logAlertType[] = [
  {
    name: 'lag'
    description: 'The oldest event that is not stored has waited for a minute or more. Runbook: lag grows.'
    severity: 1
    split: true
    aggregation: 'Maximum'
    threshold: 60
    query: '''
AppMetrics
| where Name == "chat.lag.age"
| project TimeGenerated, Value = Sum, Part = tostring(Properties["hub"])'''
  }
  {
    name: 'lag-events'
    description: 'Many events wait in one partition. Runbook: lag grows.'
    severity: 2
    split: true
    aggregation: 'Maximum'
    threshold: 5000
    query: '''
AppMetrics
| where Name == "chat.lag.events"
| project TimeGenerated, Value = Sum, Part = strcat(tostring(Properties["hub"]), "/", tostring(Properties["partition"]))'''
  }
  {
    name: 'dead-letters-by-code'
    description: 'The app put events aside; the code says why. Runbook: dead letters.'
    severity: 2
    split: true
    aggregation: 'Total'
    threshold: 0
    query: '''
AppMetrics
| where Name == "chat.dead_letters"
| project TimeGenerated, Value = Sum, Part = tostring(Properties["code"])'''
  }
  {
    name: 'not-up'
    description: 'An instance finds that a part is down, or that Redis is: 1 is up, 0.5 degraded, 0 down.'
    severity: 1
    split: false
    aggregation: 'Maximum'
    threshold: 0
    query: '''
AppMetrics
| where Name == "chat.health"
| project TimeGenerated, Value = iff(Sum < 1.0, 1, 0)'''
  }
  {
    name: 'telemetry-is-silent'
    description: 'The app has told nothing for a quarter of an hour, so that the alerts on its metrics are blind.'
    severity: 2
    split: false
    // Of an app that has told something in the last day: one without code, or at rest for good, wakes nobody.
    aggregation: 'Count'
    threshold: 0
    window: 'P1D'
    query: '''
AppMetrics
| where Name == "chat.health"
| summarize TimeGenerated = max(TimeGenerated)
| where TimeGenerated < ago(15m)
| project TimeGenerated, Value = 1'''
  }
  {
    name: 'failed-executions'
    description: 'Functions fail. Batches that fail are read again, so that their events wait.'
    severity: 1
    split: true
    aggregation: 'Total'
    threshold: 5
    query: '''
AppRequests
| where Success == false and ResultCode !startswith "4"
| project TimeGenerated, Value = ItemCount, Part = OperationName'''
  }
  {
    name: 'errors-in-the-log'
    description: 'Lines of level error: "does not do what this app needs of it", "events are lost".'
    severity: 2
    split: false
    aggregation: 'Total'
    threshold: 0
    query: '''
AppTraces
| where SeverityLevel >= 3
| project TimeGenerated, Value = ItemCount'''
  }
]

var requestAlerts logAlertType[] = [
  {
    name: 'web-pubsub-refuses-calls'
    description: 'Web PubSub answers REST calls with 429. No metric says so.'
    severity: 2
    split: false
    aggregation: 'Total'
    threshold: 10
    query: '''
WebPubSubHttpRequest
| where StatusCode == "429"
| project TimeGenerated, Value = 1'''
  }
]

resource alert 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for each in concat(alerts, hasRequestLogs ? requestAlerts : []): {
    name: each.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: each.name
      description: each.description
      severity: each.severity
      enabled: true
      autoMitigate: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT5M'
      windowSize: each.?window ?? 'PT5M'
      // A table is there from its first row on.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: each.query
            metricMeasureColumn: each.aggregation == 'Count' ? null : 'Value'
            timeAggregation: each.aggregation
            operator: 'GreaterThan'
            threshold: each.threshold
            dimensions: each.split ? [{ name: 'Part', operator: 'Include', values: ['*'] }] : []
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [actionsId] }
    }
  }
]
