/**
 * Native memory that cleans up after itself: a block, the buffers that view it, and its end.
 *
 * Nobody has to free anything: when neither a block nor any of its views can be reached any more, its memory goes back.
 * `free` is for giving it back earlier; it detaches the views first, so that a stale one is empty instead of deadly.
 */
import { DownhillError } from "../../ir/fail.ts";
import { loadBinding, maxView } from "./binding.ts";

/** A view keeps its block alive: the memory must not go while a typed array over it can be reached. */
const blockOf = new WeakMap<ArrayBuffer, NativeBlock>();

const dropped = new FinalizationRegistry<number>((address) => loadBinding().free(address));

/** Blocks that a running call uses, and by how many calls. Also what keeps them reachable until the calls are over. */
const inUse = new Map<NativeBlock, number>();

/**
 * V8 counts what it has a view of, and collects when that grows. It does so within the call that makes the view, for 5 to
 * 10 ms, when a training that begins has made nothing but memory it keeps. Nothing goes back before the event loop turns:
 * new blocks are shown then.
 */
let unseen: NativeBlock[] = [];

function showLater(block: NativeBlock): void {
  if (unseen.push(block) > 1) return;
  setImmediate(() => {
    const blocks = unseen;
    unseen = [];
    for (const block of blocks) block.show();
  }).unref();
}

export class NativeBlock {
  /** 64-byte aligned; 2 MiB aligned for large blocks. */
  readonly address: number;
  readonly bytes: number;
  private views: Map<string, ArrayBuffer> | undefined = new Map();

  /** A zeroed block. Throws a DownhillError when the system has no such memory. */
  constructor(bytes: number) {
    this.address = loadBinding().alloc(bytes === 0 ? 1 : bytes); // an empty block still has an address
    this.bytes = bytes;
    dropped.register(this, this.address, this);
    showLater(this);
  }

  /**
   * `bytes` from `offset` on as a buffer that shares the memory; all of the block unless told. The same range gives the
   * same buffer. Throws beyond the block, and above `maxView` bytes in one piece.
   */
  view(offset = 0, bytes = this.bytes - offset): ArrayBuffer {
    const views = this.within(offset, bytes);
    const range = `${offset}+${bytes}`;
    let view = views.get(range);
    if (!view) {
      view = loadBinding().view(this.address + offset, bytes);
      views.set(range, view);
      blockOf.set(view, this);
    }
    return view;
  }

  /** The views of a block that is not freed and has these bytes. */
  private within(offset: number, bytes: number): Map<string, ArrayBuffer> {
    if (!this.views) throw new DownhillError("native: this block has been freed");
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= this.bytes)) {
      throw new DownhillError(`native: bytes ${offset} to ${offset + bytes} are not inside a block of ${this.bytes}`);
    }
    return this.views;
  }

  /** Let V8 count it. Where that is refused, whoever needs a view is told. */
  show(): void {
    try {
      if (this.views && this.bytes <= maxView) this.view();
    } catch {
      // memory outside of JavaScript is not allowed by this build of Node
    }
  }

  /** Copies the bytes of a typed array to `offset` and on. Throws beyond the block. */
  write(offset: number, array: NodeJS.TypedArray): void {
    this.within(offset, array.byteLength);
    loadBinding().write(this.address + offset, array);
  }

  /** How many of its bytes take memory, because they have been touched. */
  get residentBytes(): number {
    return this.views ? Math.min(this.bytes, loadBinding().resident(this.address, this.bytes)) : 0;
  }

  /** `call`, during which the block is neither collected nor freed. */
  async during<T>(call: Promise<T>): Promise<T> {
    inUse.set(this, (inUse.get(this) ?? 0) + 1);
    try {
      return await call;
    } finally {
      const others = (inUse.get(this) ?? 1) - 1;
      if (others > 0) inUse.set(this, others);
      else inUse.delete(this);
    }
  }

  /** Give the memory back now; a second time is nothing. Its views become empty. Throws while a call uses it. */
  free(): void {
    if (!this.views) return;
    if (inUse.has(this)) throw new DownhillError("native: a block cannot be freed while a call uses it");
    const binding = loadBinding();
    for (const view of this.views.values()) binding.detach(view);
    this.views = undefined;
    dropped.unregister(this);
    binding.free(this.address);
  }
}
