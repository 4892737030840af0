import { Avatar } from "./avatar.js";
import type { User } from "./identity.js";
import { useTexts } from "./language.js";
import { Name } from "./name.js";

interface Props {
  readonly title: string;
  readonly people: readonly User[];
  readonly chosen: ReadonlySet<number>;
  readonly onChange: (chosen: ReadonlySet<number>) => void;
}

/** Some of these people, each with a checkbox. */
export function ChoosePeople({ title, people, chosen, onChange }: Props) {
  const texts = useTexts();
  const toggle = (userId: number) => {
    const next = new Set(chosen);
    if (!next.delete(userId)) next.add(userId);
    onChange(next);
  };
  return (
    <fieldset className="choose">
      <legend>{title}</legend>
      {people.map(({ userId, nickname }) => (
        <label key={userId} className="choice">
          <Avatar name={nickname} />
          <span>
            <Name of={{ userId, nickname }} />
          </span>
          <input type="checkbox" checked={chosen.has(userId)} onChange={() => toggle(userId)} />
        </label>
      ))}
      {people.length === 0 && <p className="hint">{texts.nobodyLeft}</p>}
    </fieldset>
  );
}
