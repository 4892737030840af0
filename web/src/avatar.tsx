/** How many colours the style sheet has for them. */
const COLOURS = 8;

/** The first letter of a name, on a colour that stays with the name; or a picture. For the eye only: the name stands beside it. */
export function Avatar({ name, image }: { readonly name: string; readonly image?: string | null }) {
  if (image) return <img className="avatar" src={image} alt="" referrerPolicy="no-referrer" />;
  const [letter = "?"] = name.trim() || "?";
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
