import { useTexts } from "./language.js";
import { shownName } from "./names.js";
import type { Texts } from "./texts/en.js";

export interface Named {
  readonly userId: number;
  readonly nickname: string;
}

/** A user's name as text. A user whose name looks empty has one made of the id. */
export const nameOf = ({ userId, nickname }: Named, texts: Texts): string =>
  shownName(nickname) ?? texts.nameless(userId);

/** A user's name as an element of its own: it does not change the direction of the text around it. */
export function Name({ of }: { readonly of: Named }) {
  return <bdi>{nameOf(of, useTexts())}</bdi>;
}

/** These marks stand for names. No shown name has them: they are for private use (Unicode `Co`). */
const MARKS: readonly string[] = ["\uE000", "\uE001", "\uE002", "\uE003", "\uE004"];

interface PhraseProps {
  /** Makes the sentence of marks, which stand for the names. */
  readonly text: (...marks: string[]) => string;
  readonly names: readonly string[];
}

/** A sentence with names in it, each in an element of its own. It takes up to five names. */
export function Phrase({ text, names }: PhraseProps) {
  const pieces = text(...MARKS.slice(0, names.length)).split(/([\uE000-\uE004])/);
  return pieces.map((piece, index) => {
    const name = names[MARKS.indexOf(piece)];
    // biome-ignore lint/suspicious/noArrayIndexKey: a sentence's pieces keep their order
    return name === undefined ? piece : <bdi key={index}>{name}</bdi>;
  });
}
