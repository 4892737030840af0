import { useState } from "react";
import { shownName } from "./names.js";
import { useIsAllowed } from "./pictureHosts.js";

/** The style sheet has this many classes `colour-N`. */
const COLOURS = 8;

interface Props {
  readonly name: string;
  readonly image?: string | null | undefined;
}

/**
 * A user's or room's picture, if the page may load it unasked, and can. Otherwise the first
 * letter of the name, on a colour that belongs to the name. Assistive technology skips it, because the name
 * stands beside it.
 */
export function Avatar({ name, image }: Props) {
  const isAllowed = useIsAllowed();
  const [broken, setBroken] = useState<string>();
  if (image && isAllowed(image) && broken !== image)
    return (
      <img
        className="avatar"
        src={image}
        alt=""
        loading="lazy"
        decoding="async"
        referrerPolicy="no-referrer"
        onError={() => setBroken(image)}
      />
    );
  const [letter = "?"] = shownName(name) ?? "?";
  return (
    <span className={`avatar colour-${colourOf(name)}`} aria-hidden="true">
      {letter.toUpperCase()}
    </span>
  );
}

/** The colour depends on the name, because the list of rooms has no id of the other user. */
function colourOf(name: string): number {
  let hash = 24;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)!) % 10_007;
  return hash % COLOURS;
}
