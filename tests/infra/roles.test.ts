import { expect, test } from "vitest";
import { at, ofType, type Resource, type Size, snapshotOf } from "./snapshots.js";

/** Built-in roles. Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles. */
const ROLES: Readonly<Record<string, string>> = {
  "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
  "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
  "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
  "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Azure Event Hubs Data Receiver",
  "2b629674-e913-4c01-ae53-ef4638d8f975": "Azure Event Hubs Data Sender",
  "12cf5a90-567b-43ae-8102-96cf46c7d9b4": "Web PubSub Service Owner",
  "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
  "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
};

type Assignment = readonly [who: string, role: string, scope: string, type: string];

/** Who needs what, and no more. */
const EVERYWHERE: readonly Assignment[] = [
  ["app", "Azure Event Hubs Data Receiver", "namespaces", "ServicePrincipal"],
  ["app", "Azure Event Hubs Data Sender", "namespaces", "ServicePrincipal"],
  ["app", "Monitoring Metrics Publisher", "components", "ServicePrincipal"],
  ["app", "Storage Blob Data Owner", "storageAccounts", "ServicePrincipal"],
  ["app", "Storage Table Data Contributor", "storageAccounts", "ServicePrincipal"],
  ["app", "Web PubSub Service Owner", "webPubSub", "ServicePrincipal"],
];
const TABLE: Readonly<Record<Size, readonly Assignment[]>> = {
  // With a password, by a person.
  dev: [
    ...EVERYWHERE,
    ["app", "Key Vault Secrets User", "vaults", "ServicePrincipal"],
    ["deployer", "Key Vault Secrets User", "vaults", "User"],
    ["deployer", "Storage Blob Data Contributor", "containers/deployments", "User"],
  ],
  // With Capture, by a pipeline.
  prod: [
    ...EVERYWHERE,
    ["capture", "Storage Blob Data Contributor", "containers/capture", "ServicePrincipal"],
    ["deployer", "Storage Blob Data Contributor", "containers/deployments", "ServicePrincipal"],
  ],
};

const DEPLOYER = "00000000-0000-0000-0000-00000000d001";

function whoIs(principal: string): string {
  if (principal === DEPLOYER) return "deployer";
  return (
    /\/id-(app|capture|mysql)-[a-z0-9]+', '[^']+'\)\.principalId(?:, ''\))?\]$/.exec(principal)?.[1] ??
    principal
  );
}

/** What an assignment is for: the last type of its scope, of a container with its name. */
function scopeOf(id: string): string {
  const parts = /^(?:\[extensionResourceId\(')?([^'[]*?)(?:\/providers\/Microsoft\.Authorization\/|')/.exec(
    id,
  );
  const scope = parts?.[1]?.split("/") ?? [];
  const type = scope.at(-2) ?? id;
  return type === "containers" ? `containers/${scope.at(-1)}` : type;
}

const assignmentOf = ({ id, properties }: Resource): Assignment => {
  const role = String(at(properties, "roleDefinitionId")).split("/").at(-1) ?? "";
  return [
    whoIs(String(at(properties, "principalId"))),
    ROLES[role] ?? role,
    scopeOf(id),
    String(at(properties, "principalType")),
  ];
};

const rolesOf = (size: Size): string[] =>
  ofType(snapshotOf(size), "Microsoft.Authorization/roleAssignments")
    .map((resource) => assignmentOf(resource).join(", "))
    .sort();

test.each(["dev", "prod"] as const)("%s gives everyone what is needed, and no more", (size) => {
  expect(rolesOf(size)).toEqual(TABLE[size].map((assignment) => assignment.join(", ")).sort());
});

test.each(["dev", "prod"] as const)("Redis of %s lets the app's identity in, and nobody else", (size) => {
  const policies = ofType(
    snapshotOf(size),
    "Microsoft.Cache/redisEnterprise/databases/accessPolicyAssignments",
  ).map(({ properties }) => [
    at(properties, "accessPolicyName"),
    whoIs(String(at(properties, "user", "objectId"))),
  ]);
  expect(policies).toEqual([["default", "app"]]);
});
