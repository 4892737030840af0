// Asks /health from outside. A state that is not up also answers 200 (degraded), so that the body counts.

@description('Region.')
param location string

@description('Address of the function app.')
param functionAppUrl string

@description('Resource id of Application Insights.')
param insightsId string

@description('Who is told.')
param actionsId string

@description('From where it is asked, by the availability tests\' own names: Virginia, San Jose, Amsterdam, Singapore, Tokyo.')
param places string[] = [
  'us-va-ash-azr'
  'us-ca-sjc-azr'
  'emea-nl-ams-azr'
  'apac-sg-sin-azr'
  'apac-jp-kaw-edge'
]

var routePrefix = loadJsonContent('../../host.json').extensions.http.routePrefix

resource test 'Microsoft.Insights/webtests@2022-06-15' = {
  name: 'health'
  location: location
  tags: { 'hidden-link:${insightsId}': 'Resource' }
  kind: 'standard'
  properties: {
    Name: 'health'
    SyntheticMonitorId: 'health'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: [for each in places: { Id: each }]
    Request: {
      RequestUrl: '${functionAppUrl}/${routePrefix}/health'
      HttpVerb: 'GET'
      ParseDependentRequests: false
      FollowRedirects: false
    }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      IgnoreHttpStatusCode: false
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 7
      ContentValidation: { ContentMatch: '"status":"up"', PassIfTextFound: true, IgnoreCase: false }
    }
  }
}

resource alert 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: 'health-from-outside'
  location: 'global'
  properties: {
    description: 'Two places or more find that /health is not up.'
    severity: 1
    enabled: true
    autoMitigate: true
    scopes: [test.id, insightsId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: test.id
      componentId: insightsId
      failedLocationCount: 2
    }
    actions: [{ actionGroupId: actionsId }]
  }
}
