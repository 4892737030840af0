// Two sizes to begin with; AZURE_SIZE chooses one. docs/capacity.md says how to reckon others.

import { sizeType } from 'types.bicep'

@export()
@description('For trying it out: some hundred users, nothing always ready, everything as small as it comes. It never sleeps: the timers run every few seconds.')
var dev sizeType = {
  functions: {
    instanceMemoryMB: 2048
    // As many as the smallest server has connections for. The plan's page names 1 as the least; another one said 40.
    maximumInstanceCount: 20
    httpConcurrency: 16
    alwaysReady: { http: 0, chatMessages: 0 }
    zoneRedundant: false
    siteUpdate: 'Recreate'
  }
  eventHubs: {
    tier: 'Standard'
    capacity: 1
    maximumThroughputUnits: 1
    partitions: { 'chat-messages': 4, 'chat-read-events': 4 }
    capture: false
    captureDays: 1
  }
  webPubSub: { sku: 'Standard_S1', units: 1, requestLogs: true }
  mysql: {
    sku: 'Standard_B1ms'
    storageGB: 20
    highAvailability: 'Disabled'
    backupDays: 7
    geoRedundantBackup: false
    poolSize: 4
  }
  redis: { sku: 'Balanced_B0', highAvailability: false, clustering: 'NoCluster' }
  logs: { retentionDays: 30, dailyQuotaGB: 1 }
}

@export()
@description('For some 8,000 connections at a time, in several zones. Always-ready instances answer at once.')
var prod sizeType = {
  functions: {
    instanceMemoryMB: 2048
    maximumInstanceCount: 60
    httpConcurrency: 32
    alwaysReady: { http: 2, chatMessages: 2 }
    zoneRedundant: true
    siteUpdate: 'Recreate'
  }
  eventHubs: {
    tier: 'Standard'
    capacity: 2
    maximumThroughputUnits: 10
    partitions: { 'chat-messages': 32, 'chat-read-events': 16 }
    capture: true
    captureDays: 90
  }
  webPubSub: { sku: 'Premium_P1', units: 10, requestLogs: true }
  mysql: {
    sku: 'Standard_D4ads_v5'
    storageGB: 128
    highAvailability: 'ZoneRedundant'
    backupDays: 14
    geoRedundantBackup: true
    poolSize: 8
  }
  redis: { sku: 'Balanced_B3', highAvailability: true, clustering: 'NoCluster' }
  logs: { retentionDays: 90, dailyQuotaGB: 10 }
}
