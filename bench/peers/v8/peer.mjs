// V8 as a peer of `egraft bench`: the protocol egraft-peer/1 on standard input and output.
//
// Everything is synchronous: one request is read, carried out and answered before the next. What code
// is timed depends on the flags that Node was started with; the descriptors ask for TurboFan alone, for
// all functions at once, and for no module cache, so that `load` compiles as often as it says.

import { readFileSync, readSync, writeSync } from "node:fs";

const LINE_LIMIT = 64 * 1024;
const { bigint: now } = process.hrtime;

/** Sleeps for a millisecond: what to do about EAGAIN when nothing may be asynchronous. */
function pause() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

/** Carries out a read or write of a descriptor that may be in non-blocking mode. */
function patiently(transfer) {
  for (;;) {
    try {
      return transfer();
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      pause();
    }
  }
}

/** Standard input, as lines and as counted bytes. */
class Input {
  #chunk = Buffer.alloc(LINE_LIMIT);
  #at = 0;
  #end = 0;

  /** Reads more behind what is left. False at the end of input. */
  #more() {
    this.#chunk.copyWithin(0, this.#at, this.#end);
    this.#end -= this.#at;
    this.#at = 0;
    const room = this.#chunk.length - this.#end;
    if (room === 0) throw new Error(`a message has more than ${LINE_LIMIT} bytes`);
    const got = patiently(() => readSync(0, this.#chunk, this.#end, room, null));
    this.#end += got;
    return got > 0;
  }

  /** The next line without its line feed, or null at the end of input. */
  line() {
    for (;;) {
      const feed = this.#chunk.subarray(0, this.#end).indexOf(10, this.#at);
      if (feed >= 0) {
        const text = this.#chunk.toString("utf8", this.#at, feed);
        this.#at = feed + 1;
        return text;
      }
      if (!this.#more()) return null;
    }
  }

  /** Takes `count` bytes and gives them to `take` in pieces, with each piece's offset. */
  bytes(count, take) {
    for (let done = 0; done < count; ) {
      if (this.#at === this.#end && !this.#more()) throw new Error("the input ends within bytes");
      const piece = this.#chunk.subarray(this.#at, Math.min(this.#end, this.#at + count - done));
      take(piece, done);
      this.#at += piece.length;
      done += piece.length;
    }
  }
}

/** Writes all of `bytes` to standard output. */
function send(bytes) {
  for (let done = 0; done < bytes.length; ) {
    done += patiently(() => writeSync(1, bytes, done, bytes.length - done));
  }
}

/** Sends a message as a line; an error instead if it is too long. */
function answer(message) {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  if (line.length <= LINE_LIMIT) send(line);
  else answer({ error: `the answer has ${line.length} bytes; the limit is ${LINE_LIMIT}` });
}

const input = new Input();
let instance = null;

function exported() {
  if (!instance) throw new Error("no module is loaded");
  return instance.exports;
}

/** The request's value of `key`, which must be an integer that is not negative. */
function integer(request, key) {
  const value = request[key];
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`\`${key}\` must be an integer that is not negative, not ${value}`);
}

/** The piece of linear memory that a request names. The view is good until the next call. */
function range(request) {
  const { memory } = exported();
  const [address, count] = [integer(request, "address"), integer(request, "bytes")];
  if (!(memory instanceof WebAssembly.Memory)) throw new Error("the module exports no `memory`");
  const size = memory.buffer.byteLength;
  if (address + count > size) {
    throw new Error(`${count} bytes at ${address} are outside memory, which has ${size}`);
  }
  return new Uint8Array(memory.buffer, address, count);
}

function load(request) {
  instance = null;
  const bytes = readFileSync(request.module);
  const times = Math.max(1, integer(request, "times"));
  let module;
  const compile_ns = [];
  for (let i = 0; i < times; i++) {
    const start = now();
    module = new WebAssembly.Module(bytes);
    compile_ns.push(Number(now() - start));
  }
  instance = new WebAssembly.Instance(module, {});
  return { compile_ns, code_bytes: null, pointer_bytes: 4, compiled: "here" };
}

/** Carries out `call` up to `calls` times, until it returns neither 0 nor nothing. */
function repeat(call, calls) {
  const times = new BigInt64Array(calls);
  let result = 0;
  let done = 0;
  while (done < calls && result === 0) {
    const start = now();
    const returned = call();
    times[done++] = now() - start;
    result = returned ?? 0;
  }
  return { ns: Array.from(times.subarray(0, done), Number), result };
}

function time(request) {
  const { function: name, arguments: values } = request;
  const wanted = Object.hasOwn(exported(), name) ? exported()[name] : null;
  if (typeof wanted !== "function") throw new Error(`the module exports no function \`${name}\``);
  // JavaScript would convert, fill up or drop arguments without a word.
  const is_i32 = (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32;
  if (!Array.isArray(values) || !values.every(is_i32)) {
    throw new Error("`arguments` must be a list of integers from 0 to 4294967295");
  }
  if (wanted.length !== values.length) {
    throw new Error(`\`${name}\` takes ${wanted.length} arguments, not ${values.length}`);
  }
  const [first] = values;
  const call = values.length === 1 ? () => wanted(first) : () => wanted(...values);
  const { ns, result } = repeat(call, integer(request, "calls"));
  if (!Number.isInteger(result)) throw new Error(`\`${name}\` returns no i32`);
  return { ns, result: result >>> 0 };
}

function write(request) {
  // The bytes are taken from the input even if there is no place for them.
  const count = integer(request, "bytes");
  let failed = null;
  let place = null;
  try {
    place = range(request);
  } catch (error) {
    failed = error;
  }
  input.bytes(count, (piece, offset) => place?.set(piece, offset));
  if (failed) throw failed;
  return {};
}

/** Carries out one request. Returns its answer and the bytes that follow, if any. */
function carryOut(request) {
  switch (request.do) {
    case "load":
      return [load(request)];
    case "call":
      return [{ result: time({ ...request, calls: 1 }).result }];
    case "time":
      return [time(request)];
    case "write":
      return [write(request)];
    case "read": {
      const bytes = range(request);
      return [{ bytes: bytes.length }, bytes];
    }
    default:
      throw new Error(`unknown request \`${request.do}\``);
  }
}

// So that the first call that counts does not find the loop around it unused.
repeat(() => 0, 10_000);

answer({
  protocol: "egraft-peer/1",
  engine: `V8 ${process.versions.v8} (Node ${process.versions.node})`,
  settings: process.execArgv.join(" "),
});
try {
  for (let line = input.line(); line !== null; line = input.line()) {
    let reply;
    try {
      reply = carryOut(JSON.parse(line));
    } catch (error) {
      reply = [{ error: String(error.message ?? error) }];
    }
    answer(reply[0]);
    if (reply[1]) send(reply[1]);
  }
} catch (error) {
  console.error(`v8/peer.mjs: ${error.message}`);
  process.exitCode = 1;
}
