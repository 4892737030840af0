using 'main.bicep'

import { dev } from 'sizes.bicep'

// For the snapshot beside it, not for a deployment: `AZURE_SIZE=dev` deploys this size by main.bicepparam.
param environmentName = 'dev'
param location = 'koreacentral'
param network = 'public'
param functions = dev.functions
param eventHubs = dev.eventHubs
param webPubSub = dev.webPubSub
param mysql = dev.mysql
param redis = dev.redis
param logs = dev.logs
param mysqlSignIn = { mode: 'password' }
param auth = {
  issuer: 'https://id.example.com/'
  audience: 'nonstop-chat'
  jwksUri: 'https://id.example.com/.well-known/jwks.json'
}
param upstream = {
  resource: 'api://AzureADTokenExchange'
  audience: 'fb60f99c-7a34-4190-8149-302f77469936'
  issuer: ''
}
param allowedOrigins = []
param limits = {}
param heartBeats = true
param alertEmail = ''
param budget = { amount: 0, startDate: '2026-12-01' }
param deployerId = '00000000-0000-0000-0000-00000000d001'
param deployerType = 'User'
