import { Icon, type IconName } from "./icons.js";

interface Props {
  readonly icon: IconName;
  /** What it does, for those who can't see the icon or don't know it. */
  readonly label: string;
  readonly onClick: () => void;
}

/** A button that shows an icon, and its label under the mouse. */
export function RoundButton({ icon, label, onClick }: Props) {
  return (
    <button type="button" className="round" aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}
