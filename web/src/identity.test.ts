import { expect, test } from "vitest";
import { readConfig, readUsers } from "./identity.js";

test("the configuration says where the API is, and may say whose pictures are shown unasked", () => {
  expect(
    readConfig(JSON.parse('{"api":"https://chat.example","imageHosts":["*.pictures.example"]}')),
  ).toEqual({
    api: "https://chat.example",
    imageHosts: ["*.pictures.example"],
  });
  expect(readConfig(JSON.parse('{"api":"https://chat.example"}')).imageHosts).toEqual([]);
});

test.each([
  ["null", "/config.json is no object."],
  ["{}", "/config.json has no `api`."],
  ['{"api":7071}', "/config.json has no `api`."],
  ['{"api":"","imageHosts":"a.example"}', "In /config.json `imageHosts` is no list of hosts."],
  ['{"api":"","imageHosts":[1]}', "In /config.json `imageHosts` is no list of hosts."],
])("the configuration %s is refused", (text, message) => {
  expect(() => readConfig(JSON.parse(text))).toThrow(message);
});

test("demo users have an id and a name", () => {
  const users = [{ userId: 1, nickname: "Ann" }];
  expect(readUsers({ users })).toEqual(users);
});

test.each([
  "null",
  "{}",
  '{"users":{}}',
  '{"users":[null]}',
  '{"users":[{"userId":"1","nickname":"Ann"}]}',
  '{"users":[{"userId":1}]}',
])("what is no list of users is refused: %s", (text) => {
  expect(() => readUsers(JSON.parse(text))).toThrow("/demo/users is no list of users.");
});
