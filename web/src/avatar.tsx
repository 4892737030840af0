import { useState } from "react";
import { shownName } from "./names.js";
import { useIsAllowed } from "./pictureHosts.js";

/** How many colours the style sheet has for them. */
const COLOURS = 8;

interface Props {
  readonly name: string;
  readonly image?: string | null | undefined;
}

/**
 * The first letter of a name, on a colour that stays with the name; or a picture, if it is of a host that may be asked for it and can
 * be had. For the eye only: the name stands beside it.
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

/** The list of rooms knows the other one's name only, so their colour hangs on that everywhere. */
function colourOf(name: string): number {
  let hash = 24;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)!) % 10_007;
  return hash % COLOURS;
}
