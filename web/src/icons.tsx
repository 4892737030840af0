const PATHS = {
  back: "M15 5l-7 7 7 7",
  plus: "M12 5v14M5 12h14",
  send: "M12 19V5M6 11l6-6 6 6",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.4-3.6 3-5.5 6.500-5.500s6.100 1.900 6.500 5.500M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.800c2 .7 3.200 2.500 3.500 5.200",
  down: "M12 5v14M6 13l6 6 6-6",
  close: "M6 6l12 12M18 6L6 18",
  clock: "M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  check: "M5 12.500l4.500 4.500L19 7.500",
  alert: "M12 8v5M12 16.500v.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  leave: "M14 8V5H5v14h9v-3M10 12h11M18 9l3 3-3 3",
  globe: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3 12h18M12 3c5 5.500 5 12.500 0 18c-5-5.500-5-12.500 0-18",
  chat: "M5 5h14v11h-8l-4.500 3.500V16H5z",
  sliders:
    "M4 7h8M18 7h2M15 9.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM4 17h2M12 17h8M9 19.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  copy: "M9 9h11v11H9zM15 5V4H4v11h1",
  seen: "M2.500 12.500l4 4L15 8M11.500 15.500l1 1L21 8",
  bin: "M4 7h16M9 7V4h6v3M6.500 7l1 13h9l1-13",
  pen: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  again: "M19 12a7 7 0 1 1-2-4.900M19 4v4h-4",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 2-2 5 5M15.500 9.500v.010",
  noPicture: "M4 5h16v14H4zM9 9l6 6M15 9l-6 6",
  offline:
    "M3 3l18 18M5 12.500a10 10 0 0 1 4-2.500M19 12.500a10 10 0 0 0-6-2.900M8.500 16a5 5 0 0 1 7 0M12 19.500v.010",
} as const;

export type IconName = keyof typeof PATHS;

/** An icon beside a text, or in a button with a label: assistive technology skips it. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
