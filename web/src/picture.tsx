import { type ReactNode, useEffect, useRef, useState } from "react";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { useIsAllowed } from "./pictureHosts.js";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Sizes that this page has learned, by address: a picture that is shown again does not change its size. */
const sizes = new Map<string, Size>();
/** Addresses that the user has asked for. */
const wanted = new Set<string>();

/** In these bounds, in rem, pictures are shown in their own proportions. */
const [WIDEST, HIGHEST, NARROWEST] = [18, 20, 7];

/** How large a picture is shown. Before its size is known, that is the size of most pictures. */
function shownSize(size: Size | undefined): { width: string; aspectRatio: string } {
  const { width, height } = size ?? { width: 4, height: 3 };
  const ratio = width / height;
  // No larger than the picture itself (16 px are a rem), but large enough to be seen.
  const own = size ? Math.max(width / 16, NARROWEST) : WIDEST;
  const shown = Math.max(Math.min(WIDEST, HIGHEST * ratio, own), NARROWEST);
  return { width: `${shown}rem`, aspectRatio: String(Math.min(Math.max(ratio, 0.3), 5)) };
}

interface Props {
  readonly address: string;
  /** The sender's name. */
  readonly sender: string;
}

/** A picture, if its host may be asked for it. Otherwise a button that asks the host. */
export function Picture({ address, sender }: Props) {
  const texts = useTexts();
  const isAllowed = useIsAllowed()(address);
  const [isWanted, setWanted] = useState(() => wanted.has(address));
  const [isBroken, setBroken] = useState(false);
  const want = () => {
    wanted.add(address);
    setWanted(true);
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
        <button type="button" onClick={want}>
          {texts.loadPicture(new URL(address).host)}
        </button>
      </Instead>
    );
  return <Loaded {...{ address, sender, isAllowed }} onBroken={() => setBroken(true)} />;
}

interface LoadedProps extends Props {
  /** The page's policy lets the page itself load it. */
  readonly isAllowed: boolean;
  readonly onBroken: () => void;
}

function Loaded({ address, sender, isAllowed, onBroken }: LoadedProps) {
  const texts = useTexts();
  const [size, setSize] = useState(() => sizes.get(address));
  const onSize = (found: Size) => {
    if (found.width <= 0 || found.height <= 0) return onBroken();
    sizes.set(address, found);
    setSize(found);
  };
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
          onError={onBroken}
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

/** A picture that the page's policy does not let the page load: `/picture.html` has a policy of its own. */
function Framed({ address, onSize }: { readonly address: string; readonly onSize: (size: Size) => void }) {
  const texts = useTexts();
  const frame = useRef<HTMLIFrameElement>(null);
  const latestOnSize = useRef(onSize);
  latestOnSize.current = onSize;
  useEffect(() => {
    const onMessage = ({ source, data }: MessageEvent<unknown>) => {
      if (source === null || source !== frame.current?.contentWindow) return;
      const size = sizeFrom(data);
      if (size) latestOnSize.current(size);
    };
    window.addEventListener("message", onMessage);
    return () => window.removeEventListener("message", onMessage);
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

/** Reads what the frame posts: the picture's size, or zeros if it can't be loaded. */
function sizeFrom(data: unknown): Size | undefined {
  if (typeof data !== "object" || data === null || !("width" in data && "height" in data)) return undefined;
  const { width, height } = data;
  return isNumber(width) && isNumber(height) ? { width, height } : undefined;
}

const isNumber = (value: unknown): value is number => Number.isFinite(value);

interface InsteadProps {
  readonly icon: "picture" | "noPicture";
  readonly address: string;
  readonly text: string;
  readonly children: ReactNode;
}

/** What is shown instead of a picture, with its address. */
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
