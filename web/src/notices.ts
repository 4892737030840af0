import { isSystem, type Message } from "@nonstop/chat-client";
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { keptByBrowser } from "./kept.js";
import { useTexts } from "./language.js";
import { nameOf } from "./name.js";
import { shownName } from "./names.js";
import { useSession } from "./session.js";
import type { Texts } from "./texts/en.js";

const KEY = "nonstop-notices";
const LONGEST = 200;

/**
 * `off` until the user switches them on, `blocked` if the user told the browser so, `none` if it has no
 * notices.
 */
export type Notices = "none" | "off" | "on" | "blocked";

const listeners = new Set<() => void>();
const isOn = () => keptByBrowser.get(KEY) === "on";

function current(): Notices {
  if (!("Notification" in window) || !window.isSecureContext) return "none";
  if (Notification.permission === "denied") return "blocked";
  return isOn() && Notification.permission === "granted" ? "on" : "off";
}

function onNotices(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

/**
 * Whether the browser shows a notice for each message that the user does not see, and a function that
 * switches it. The browser asks the user for permission only when they are switched on.
 */
export function useNotices(): [Notices, (on: boolean) => Promise<void>] {
  const notices = useSyncExternalStore(onNotices, current);
  const change = useCallback(async (on: boolean) => {
    if (on && Notification.permission === "default") await Notification.requestPermission();
    keptByBrowser.set(KEY, on && Notification.permission === "granted" ? "on" : "off");
    for (const changed of listeners) changed();
  }, []);
  return [notices, change];
}

/** Shows a notice for each message that comes while its room is not in front of the user. */
export function useTelling(shownRoom: number | undefined, onOpen: (roomId: number) => void): void {
  const { client, me } = useSession();
  const texts = useTexts();
  const [open] = useState(() => new Set<Notification>());
  useEffect(
    () =>
      client.on("message", (message) => {
        const isSeen = document.visibilityState === "visible" && document.hasFocus();
        if (isSystem(message) || message.senderId === me.userId || current() !== "on") return;
        if (isSeen && message.roomId === shownRoom) return;
        const room = client.roomList?.find(({ roomId }) => roomId === message.roomId);
        const notice = show(message, room?.type === "GROUP" ? room.name : null, texts);
        if (!notice) return;
        open.add(notice);
        notice.onclose = () => open.delete(notice);
        notice.onclick = () => {
          window.focus();
          notice.close();
          onOpen(message.roomId);
        };
      }),
    [client, me, texts, shownRoom, onOpen, open],
  );
  // When the user signs out, their notices go.
  useEffect(
    () => () => {
      for (const notice of open) notice.close();
    },
    [open],
  );
}

/** Shows a notice, if the browser can. A later notice of the same room replaces it. */
function show(message: Message, roomName: string | null, texts: Texts): Notification | undefined {
  const { roomId, type, content, senderId, senderNickname } = message;
  const sender = nameOf({ userId: senderId, nickname: senderNickname }, texts);
  const room = shownName(roomName);
  const title = room === undefined ? sender : `\u2068${sender}\u2069 · \u2068${room}\u2069`;
  const body = type === "IMAGE" ? texts.picture : shortened(content);
  try {
    return new Notification(title, { body, tag: `nonstop-${roomId}`, icon: "/favicon.svg" });
  } catch {
    // Chrome on Android has the constructor, but it throws a TypeError outside of a service worker.
    return undefined;
  }
}

/** Cuts a long text off between two characters (code points). */
function shortened(text: string): string {
  const characters = [...text.slice(0, LONGEST * 2)];
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST).join("")}…` : text;
}
