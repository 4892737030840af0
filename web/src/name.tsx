import { useTexts } from "./language.js";
import { shownName } from "./names.js";
import type { Texts } from "./texts/en.js";

export interface Named {
  readonly userId: number;
  readonly nickname: string;
}

/** A user's name as text; of someone whose name looks empty, one made of the id. */
export const nameOf = ({ userId, nickname }: Named, texts: Texts): string =>
  shownName(nickname) ?? texts.nameless(userId);

/** By itself: whichever way it is written, what stands around it stays in its order. */
export function Name({ of }: { readonly of: Named }) {
  return <bdi>{nameOf(of, useTexts())}</bdi>;
}

/** What a text is given in place of each name; no name that is shown has it. */
const MARKS = ["\uE000", "\uE001", "\uE002", "\uE003", "\uE004"] as const;

interface PhraseProps {
  /** Makes the sentence, given what stands for the names. */
  readonly text: (...marks: string[]) => string;
  readonly names: readonly string[];
}

/** A sentence with names in it, each by itself. */
export function Phrase({ text, names }: PhraseProps) {
  const pieces = text(...MARKS.slice(0, names.length)).split(/([\uE000-\uE004])/);
  return pieces.map((piece, index) => {
    const name = names[MARKS.indexOf(piece as (typeof MARKS)[number])];
    // biome-ignore lint/suspicious/noArrayIndexKey: a sentence's pieces keep their order
    return name === undefined ? piece : <bdi key={index}>{name}</bdi>;
  });
}
