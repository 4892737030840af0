/** How many colours the style sheet has for them. */
const COLOURS = 8;

/** The first letter of a name, on a colour that stays with the id; or a picture. For the eye only: the name stands beside it. */
export function Avatar({
  id,
  name,
  image,
}: {
  readonly id: number;
  readonly name: string;
  readonly image?: string | null;
}) {
  if (image) return <img className="avatar" src={image} alt="" referrerPolicy="no-referrer" />;
  const [letter = "?"] = name.trim() || "?";
  return (
    <span className={`avatar colour-${id % COLOURS}`} aria-hidden="true">
      {letter.toUpperCase()}
    </span>
  );
}
