import { type FSWatcher, readdirSync, watch } from "node:fs";
import { join } from "node:path";

/**
 * A change is told once the folders have been quiet for this long, as an editor takes some time to save many
 * files.
 */
const QUIET_MS = 150;
/** In folders that are never quiet a change is told after this time. */
const LONGEST_WAIT_MS = 2_000;
const MAX_FOLDERS = 2_000;
/** These folders hold only made or installed files. */
const PASSED_OVER = new Set(["dist", "node_modules"]);

/**
 * Calls `changed` after each burst of changes in the folder `root` itself, and in its folders `names` with
 * all below them. The caller finds out which files changed: systems tell too much, and one change twice.
 */
export class FolderWatch {
  readonly #root: string;
  readonly #names: readonly string[];
  readonly #changed: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: NodeJS.Timeout | undefined;
  #firstAt: number | undefined;

  constructor(root: string, names: readonly string[], changed: () => void) {
    this.#root = root;
    this.#names = names;
    this.#changed = changed;
    this.refresh();
  }

  /**
   * Watches the folders that are new. A caller who then looks at the files misses nothing. Throws where there
   * are too many folders, for us or for the system.
   */
  refresh(): void {
    const below = this.#names.map((name) => join(this.#root, name));
    const folders = new Set([this.#root, ...below.flatMap((each) => [each, ...foldersBelow(each)])]);
    if (folders.size > MAX_FOLDERS) throw new Error(`There are ${folders.size} folders to watch.`);
    for (const [folder, watcher] of this.#watchers) if (!folders.has(folder)) this.#forget(folder, watcher);
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#add(folder);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const [folder, watcher] of this.#watchers) this.#forget(folder, watcher);
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, () => this.#soon());
      // The folder is gone, which its parent tells as well.
      watcher.on("error", () => this.#forget(folder, watcher));
      this.#watchers.set(folder, watcher);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "ENOSPC" && code !== "EMFILE") throw error;
      throw new Error(
        `${folder} can't be watched: the system allows no more (on Linux raise fs.inotify.max_user_watches and max_user_instances).`,
        { cause: error },
      );
    }
  }

  #forget(folder: string, watcher: FSWatcher): void {
    watcher.close();
    this.#watchers.delete(folder);
  }

  #soon(): void {
    const now = performance.now();
    this.#firstAt ??= now;
    clearTimeout(this.#timer);
    const waitMs = Math.min(QUIET_MS, Math.max(0, this.#firstAt + LONGEST_WAIT_MS - now));
    this.#timer = setTimeout(() => {
      this.#firstAt = undefined;
      this.#changed();
    }, waitMs);
  }
}

function foldersBelow(folder: string): string[] {
  const names = listed(folder).filter((name) => !PASSED_OVER.has(name));
  return names.flatMap((name) => [join(folder, name), ...foldersBelow(join(folder, name))]);
}

function listed(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    // The folder was deleted after its parent was listed.
    return [];
  }
}
