import { type ReactNode, useEffect, useRef, useState } from "react";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { useIsAllowed } from "./pictureHosts.js";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** What this page has learned: drawn anew, a picture takes its place at once. */
const sizes = new Map<string, Size>();
/** What the user has asked for. */
const wanted = new Set<string>();

/** In these bounds, in rem, pictures are shown in their own proportions. */
const [WIDEST, HIGHEST, NARROWEST] = [18, 20, 7];

/** How large it is shown; before its size is known, as large as most. */
function shownSize(size: Size | undefined): { width: string; aspectRatio: string } {
  const { width, height } = size ?? { width: 4, height: 3 };
  const ratio = width / height;
  // Neither larger than it is, nor too small to be seen.
  const own = size ? Math.max(width / 16, NARROWEST) : WIDEST;
  const shown = Math.max(Math.min(WIDEST, HIGHEST * ratio, own), NARROWEST);
  return { width: `${shown}rem`, aspectRatio: String(Math.min(Math.max(ratio, 0.3), 5)) };
}

interface Props {
  readonly address: string;
  /** Whose it is. */
  readonly sender: string;
}

/** A picture of a host that may be asked for it; of any other, a button that asks it. */
export function Picture({ address, sender }: Props) {
  const texts = useTexts();
  const isAllowed = useIsAllowed()(address);
  const [isWanted, setWanted] = useState(() => wanted.has(address));
  const [size, setSize] = useState(() => sizes.get(address));
  const [isBroken, setBroken] = useState(false);
  const { host } = new URL(address);
  const onSize = (found: Size) => {
    if (found.width > 0 && found.height > 0) {
      sizes.set(address, found);
      setSize(found);
    } else setBroken(true);
  };
  if (isBroken)
    return (
      <Instead icon="noPicture" address={address} text={texts.pictureBroken}>
        <button type="button" onClick={() => setBroken(false)}>
          {texts.tryAgain}
        </button>
      </Instead>
    );
  if (!isAllowed && !isWanted)
    return (
      <Instead icon="picture" address={address} text={texts.pictureHint}>
        <button
          type="button"
          onClick={() => {
            wanted.add(address);
            setWanted(true);
          }}
        >
          {texts.loadPicture(host)}
        </button>
      </Instead>
    );
  return (
    <div className="bubble picture" style={shownSize(size)} data-size={size ? "known" : undefined}>
      {isAllowed ? (
        <img
          src={address}
          alt=""
          loading="lazy"
          decoding="async"
          referrerPolicy="no-referrer"
          onLoad={({ currentTarget: { naturalWidth: width, naturalHeight: height } }) =>
            onSize({ width, height })
          }
          onError={() => setBroken(true)}
        />
      ) : (
        <Framed address={address} onSize={onSize} />
      )}
      <a href={address} target="_blank" rel="noopener noreferrer">
        <span className="unseen">{texts.pictureAlt(sender)}</span>
      </a>
    </div>
  );
}

/** The page itself may not load it: in a document of its own, which may. */
function Framed({ address, onSize }: { readonly address: string; readonly onSize: (size: Size) => void }) {
  const texts = useTexts();
  const frame = useRef<HTMLIFrameElement>(null);
  const told = useRef(onSize);
  told.current = onSize;
  useEffect(() => {
    const hear = ({ source, data }: MessageEvent) => {
      if (source === null || source !== frame.current?.contentWindow) return;
      const { width, height } = (data ?? {}) as Partial<Size>;
      if (Number.isFinite(width) && Number.isFinite(height)) told.current({ width: width!, height: height! });
    };
    window.addEventListener("message", hear);
    return () => window.removeEventListener("message", hear);
  }, []);
  return (
    <iframe
      ref={frame}
      src={`/picture.html#${encodeURIComponent(address)}`}
      title={texts.picture}
      sandbox="allow-scripts"
      referrerPolicy="no-referrer"
      tabIndex={-1}
    />
  );
}

interface InsteadProps {
  readonly icon: "picture" | "noPicture";
  readonly address: string;
  readonly text: string;
  readonly children: ReactNode;
}

/** What stands in a picture's place, with its address. */
function Instead({ icon, address, text, children }: InsteadProps) {
  return (
    <div className="bubble noPicture">
      <Icon name={icon} />
      <p>{text}</p>
      <a href={address} target="_blank" rel="noopener noreferrer" dir="ltr">
        {address}
      </a>
      {children}
    </div>
  );
}
