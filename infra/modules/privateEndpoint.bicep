@description('Region.')
param location string

@description('Tags.')
param tags { *: string }

@description('Name.')
param name string

@description('The resource that it leads to.')
param targetId string

@description('Which part of the resource, by the service\'s own word.')
param part 'blob' | 'table' | 'namespace' | 'webpubsub' | 'mysqlServer' | 'redisEnterprise' | 'vault'

@description('The zone in which its name is written.')
param zone string

@description('The subnet of its address.')
param subnetId string

resource dns 'Microsoft.Network/privateDnsZones@2024-06-01' existing = { name: zone }

resource endpoint 'Microsoft.Network/privateEndpoints@2025-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: '${name}-nic'
    privateLinkServiceConnections: [
      { name: part, properties: { privateLinkServiceId: targetId, groupIds: [part] } }
    ]
  }

  resource names 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: part, properties: { privateDnsZoneId: dns.id } }]
    }
  }
}
