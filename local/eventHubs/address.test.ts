import { describe, expect, test } from "vitest";
import { entityOf } from "./address.js";

describe("the entity of an address", () => {
  test.each([
    ["hub", "hub"],
    ["/hub", "hub"],
    ["hub/Partitions/0", "hub/Partitions/0"],
    ["/hub/ConsumerGroups/$Default/Partitions/0", "hub/ConsumerGroups/$Default/Partitions/0"],
    ["amqps://host/hub/ConsumerGroups/g/Partitions/0", "hub/ConsumerGroups/g/Partitions/0"],
    ["amqp://host:5672/hub/Partitions/0", "hub/Partitions/0"],
    ["sb://host.example/hub/", "hub"],
    ["SB://[::1]:5672/Hub", "Hub"],
    ["amqps://host//hub", "hub"],
    ["amqps://host/hub/ConsumerGroups/%24Default/Partitions/0", "hub/ConsumerGroups/$Default/Partitions/0"],
    ["hub/100%", "hub/100%"],
    ["amqps://host/hub?timeout=60#there", "hub"],
    ["amqps://host", ""],
    ["amqps://host/", ""],
    ["$cbs", "$cbs"],
    ["", ""],
    ["/", ""],
  ])("%s is that of %s", (address, entity) => {
    expect(entityOf(address)).toBe(entity);
  });
});
