// What the app measures, and what only logs have. The app's metrics stand in the table AppMetrics under the names of
// shared/platform/metrics.ts; a test looks each up.

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
    threshold: 60
    query: '''
AppMetrics
| where Name == "chat.lag.age"
| summarize Value = max(Max) by Part = tostring(Properties["hub"])'''
  }
  {
    name: 'lag-events'
    description: 'Many events wait in one partition. Runbook: lag grows.'
    severity: 2
    split: true
    threshold: 5000
    query: '''
AppMetrics
| where Name == "chat.lag.events"
| summarize Value = max(Max) by Part = strcat(tostring(Properties["hub"]), "/", tostring(Properties["partition"]))'''
  }
  {
    name: 'dead-letters-by-code'
    description: 'The app put events aside; the code says why. Runbook: dead letters.'
    severity: 2
    split: true
    threshold: 0
    query: '''
AppMetrics
| where Name == "chat.dead_letters"
| summarize Value = sum(Sum) by Part = tostring(Properties["code"])'''
  }
  {
    name: 'not-up'
    description: 'An instance finds that a part is down, or that Redis is.'
    severity: 1
    split: false
    threshold: 0
    query: '''
AppMetrics
| where Name == "chat.health"
| summarize Health = min(Min)
| extend Value = iff(Health < 1.0, 1, 0)'''
  }
  {
    name: 'failed-executions'
    description: 'Functions fail. Batches that fail are read again, so that their events wait.'
    severity: 1
    split: true
    threshold: 5
    query: '''
AppRequests
| where Success == false and toint(ResultCode) !between (400 .. 499)
| summarize Value = sum(ItemCount) by Part = OperationName'''
  }
  {
    name: 'errors-in-the-log'
    description: 'Lines of level error: "does not do what this app needs of it", "events are lost".'
    severity: 2
    split: false
    threshold: 0
    query: '''
AppTraces
| where SeverityLevel >= 3
| summarize Value = sum(ItemCount)'''
  }
]

var requestAlerts logAlertType[] = [
  {
    name: 'web-pubsub-refuses-calls'
    description: 'Web PubSub answers REST calls with 429. No metric says so.'
    severity: 2
    split: false
    threshold: 10
    query: '''
WebPubSubHttpRequest
| where StatusCode == "429"
| summarize Value = count()'''
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
      windowSize: 'PT5M'
      // A table is there from its first row on.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: each.query
            metricMeasureColumn: 'Value'
            timeAggregation: 'Maximum'
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
