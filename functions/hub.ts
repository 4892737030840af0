import { app } from "@azure/functions";
import { type App, getApp } from "../shared/app.js";
import { batchesOf } from "./eventHub.js";
import { kafkaBatchesOf } from "./kafka.js";

/** Registers the function that stores a hub's events, for the trigger that the settings choose. */
export function storeHub(
  name: string,
  hub: string,
  consumerGroup: string,
  of: (chat: App) => App["messages"],
): void {
  const chat = getApp();
  const consumer = of(chat);
  const { kafkaTrigger } = chat;
  if (kafkaTrigger) app.generic(name, kafkaBatchesOf(hub, consumerGroup, consumer, kafkaTrigger));
  else app.eventHub(name, batchesOf(hub, consumerGroup, consumer));
}
