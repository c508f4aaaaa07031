// Equality saturation: an iteration as dispatches over nodes, partial matches, matches and changed nodes.
//
// The host writes the constants before this text: ITEM (words of a partial match), PLAN_NODES (nodes of a left side at
// most), TEMPS (its temporaries), ASK (words for the host about a match), PARTS (parts of a right side at most),
// TYPES, and the places AT_* of tables.
//
// Memory: what one dispatch writes, only a later one reads, but for atomics, which are all relaxed. Parents in the
// union-find only ever decrease; a slot of the hash table that holds a node's words holds them until a tombstone.

struct Knobs {
    // Partial matches and matches that there is room for.
    items: u32,
    matches: u32,
    // Slots of the hash table, less one.
    slot_mask: u32,
    // Roots of this pass: the first, and one more than the last.
    first_root: u32,
    last_root: u32,
    // Matches whose right sides are made in this pass, and which part of them.
    first_match: u32,
    last_match: u32,
    part: u32,
    // Numbers of which lanes are known.
    numbers: u32,
    // Whether nodes of classes that are constants are rewritten.
    rewrites_constants: u32,
    // How many matches the host answers for, and how many answers there are.
    asked: u32,
    answers: u32,
}

@group(0) @binding(0) var<uniform> knobs: Knobs;
@group(0) @binding(1) var<storage, read_write> counters: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> tables: array<u32>;
// Four words a node: head and operands.
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> parent: array<atomic<u32>>;
// 0: never used; 1: a tombstone; else a node plus 2, or a candidate plus CANDIDATE.
@group(0) @binding(5) var<storage, read_write> slots: array<atomic<u32>>;
// By class, old nodes and new ones, then by class those of which it is an operand: how many, then where they begin in
// `order`.
@group(0) @binding(6) var<storage, read_write> starts: array<atomic<u32>>;
// Sums of blocks of `starts`, then of `fan`.
@group(0) @binding(7) var<storage, read_write> sums: array<u32>;
@group(0) @binding(8) var<storage, read_write> order: array<u32>;
@group(0) @binding(9) var<storage, read_write> items: array<u32>;
@group(0) @binding(10) var<storage, read_write> next_items: array<u32>;
// By partial match: how many come of it, then which is the first.
@group(0) @binding(11) var<storage, read_write> fan: array<u32>;
@group(0) @binding(12) var<storage, read_write> matches: array<u32>;
// By match and part: the class.
@group(0) @binding(13) var<storage, read_write> parts: array<u32>;
// Eight words a match: the words of a node that is not in the graph, its id plus 1 once it has one, its slot, whether it is.
@group(0) @binding(14) var<storage, read_write> candidates: array<u32>;
@group(0) @binding(15) var<storage, read_write> pending: array<u32>;
// By class: the place of the number that it is, plus 1; the top bit is set if that is news.
@group(0) @binding(16) var<storage, read_write> constants: array<u32>;
// Workgroups of dispatches to come, three words each.
@group(0) @binding(17) var<storage, read_write> launches: array<u32>;
// By union: the class that went and the one that stayed.
@group(0) @binding(18) var<storage, read_write> merged: array<u32>;
// By class, two words: a bit for each op that its nodes have; ops may share one.
@group(0) @binding(19) var<storage, read_write> class_ops: array<atomic<u32>>;
// By class: how many of its users were put into `order`.
@group(0) @binding(20) var<storage, read_write> user_counts: array<atomic<u32>>;
// By class: what its cheapest term costs, NONE where none is known.
@group(0) @binding(21) var<storage, read_write> costs: array<atomic<u32>>;
// By op and type: what a node costs without its operands.
@group(0) @binding(22) var<storage, read> prices: array<u32>;
// Four words a node: immediate, class, slot, place among its like.
@group(0) @binding(23) var<storage, read_write> states: array<u32>;

// Counters.
const IDS: u32 = 0u;
const LIVE: u32 = 1u;
const FRESH: u32 = 2u;
const ITEMS: u32 = 3u;
const NEXT: u32 = 4u;
const MATCHES: u32 = 5u;
// The most partial matches that there was no room for.
const OVERFLOW: u32 = 6u;
const WINNERS: u32 = 7u;
const PENDING: u32 = 8u;
const UNIONS: u32 = 9u;
const BAD: u32 = 10u;
const USED: u32 = 11u;
const DONE: u32 = 12u;
// Matches that the host has to look at.
const GUARDED: u32 = 13u;
// Nodes that became copies of others.
const COPIES: u32 = 14u;
// Ids that are in the index, which is searched; those behind them came since.
const INDEXED: u32 = 15u;

const NONE: u32 = 0xffffffffu;
const DEAD: u32 = 0xfffffffeu;
const TOMBSTONE: u32 = 1u;
const NODE: u32 = 2u;
const CANDIDATE: u32 = 0x80000000u;
const GROUP: u32 = 256u;
const CONST_OP: u32 = 0u;
const NEWS: u32 = 0x80000000u;
// Beside the step of a partial match: the loop is over users.
const BY_USERS: u32 = 0x80000000u;

fn thread(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * GROUP + local;
}

fn count(which: u32) -> u32 {
    return atomicLoad(&counters[which]);
}

fn find(id: u32) -> u32 {
    var at = id;
    loop {
        let above = atomicLoad(&parent[at]);
        if above == at {
            break;
        }
        at = above;
    }
    return at;
}

// Merges two classes.
fn unite(a: u32, b: u32) {
    var x = find(a);
    var y = find(b);
    while x != y {
        let high = max(x, y);
        let low = min(x, y);
        if atomicCompareExchangeWeak(&parent[high], high, low).exchanged {
            let place = atomicAdd(&counters[UNIONS], 1u);
            merged[2u * place] = high;
            merged[2u * place + 1u] = low;
            break;
        }
        x = find(x);
        y = find(y);
    }
}

struct Words {
    head: u32,
    a: u32,
    b: u32,
    c: u32,
    imm: u32,
}

fn words_of(id: u32) -> Words {
    let at = 4u * id;
    return Words(rows[at], rows[at + 1u], rows[at + 2u], rows[at + 3u], states[at]);
}

fn is_same(x: Words, y: Words) -> bool {
    return x.head == y.head && x.a == y.a && x.b == y.b && x.c == y.c && x.imm == y.imm;
}

fn sorted(words: Words) -> Words {
    if words.a > words.b && (words.head >> 24u) != 0u {
        return Words(words.head, words.b, words.a, words.c, words.imm);
    }
    return words;
}

fn mixed(hash: u32, word: u32) -> u32 {
    var h = (hash ^ word) * 0x9e3779b1u;
    h = (h ^ (h >> 15u)) * 0x85ebca77u;
    return h ^ (h >> 13u);
}

fn hash(words: Words) -> u32 {
    return mixed(mixed(mixed(mixed(mixed(0u, words.head), words.a), words.b), words.c), words.imm);
}

// The node with these words, or NONE. No node is being inserted meanwhile.
fn lookup(words: Words) -> u32 {
    var at = hash(words) & knobs.slot_mask;
    var slot = atomicLoad(&slots[at]);
    while slot != 0u {
        if slot >= NODE && slot < CANDIDATE && is_same(words_of(slot - NODE), words) {
            return slot - NODE;
        }
        at = (at + 1u) & knobs.slot_mask;
        slot = atomicLoad(&slots[at]);
    }
    return NONE;
}

// The value type that a class has: that of the node that it was first.
fn type_of(class_id: u32) -> u32 {
    let head = rows[4u * class_id];
    let shape = ((head & 0xffu) * TYPES + ((head >> 8u) & 0xffu)) * TYPES + ((head >> 16u) & 0xffu);
    return tables[AT_SHAPES + 2u * shape + 1u] >> 24u;
}

// ---- Index: nodes by class, new ones apart.

// What is a constant.
@compute @workgroup_size(256)
fn note(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(INDEXED) || (rows[4u * id] & 0xffu) != CONST_OP || states[4u * id + 1u] == DEAD {
        return;
    }
    let root = find(id);
    constants[root] = (states[4u * id] + 1u) | select(0u, NEWS, states[4u * id + 1u] != root);
}

// Classes of which the host knows more.
@compute @workgroup_size(256)
fn tell(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = thread(group, groups, local);
    if at < count(PENDING) {
        constants[pending[at]] |= NEWS;
    }
}

fn is_news(class_id: u32) -> bool {
    return class_id != NONE && (constants[class_id] & NEWS) != 0u;
}

@compute @workgroup_size(256)
fn classify(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(INDEXED) {
        return;
    }
    atomicAdd(&counters[DONE], 1u);
    let seen = states[4u * id + 1u];
    if seen == DEAD {
        return;
    }
    let root = find(id);
    let words = words_of(id);
    let news = is_news(root) || is_news(words.a) || is_news(words.b) || is_news(words.c);
    let fresh = select(0u, 1u, news || seen != root);
    let op = words.head & 63u;
    atomicOr(&class_ops[2u * root + (op >> 5u)], 1u << (op & 31u));
    states[4u * id + 1u] = root;
    states[4u * id + 3u] = atomicAdd(&starts[2u * root + fresh], 1u) | (fresh << 31u);
    atomicAdd(&counters[LIVE], 1u);
    atomicAdd(&counters[FRESH], fresh);
    for (var at = 0u; at < 3u; at += 1u) {
        let used = used_at(words, at);
        if used != NONE {
            atomicAdd(&starts[2u * count(INDEXED) + used], 1u);
        }
    }
}

// An operand, the first time it is one.
fn used_at(words: Words, at: u32) -> u32 {
    if at == 0u {
        return words.a;
    }
    if at == 1u {
        return select(words.b, NONE, words.b == words.a);
    }
    return select(words.c, NONE, words.c == words.a || words.c == words.b);
}

fn start_of(at: u32) -> u32 {
    return atomicLoad(&starts[at]) + sums[at >> 10u] + sums[AT_SECOND_SUMS + (at >> 20u)];
}

// Where the users of a class begin.
fn first_user(class_id: u32) -> u32 {
    return start_of(2u * count(INDEXED) + class_id);
}

@compute @workgroup_size(256)
fn scatter(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(INDEXED) || states[4u * id + 1u] == DEAD {
        return;
    }
    let rank = states[4u * id + 3u];
    let at = start_of(2u * states[4u * id + 1u] + (rank >> 31u)) + (rank & 0x7fffffffu);
    order[at] = id;
    let words = words_of(id);
    for (var operand = 0u; operand < 3u; operand += 1u) {
        let used = used_at(words, operand);
        if used != NONE {
            order[first_user(used) + atomicAdd(&user_counts[used], 1u)] = id;
        }
    }
}

// ---- Match: partial matches grow level by level; each loop of a plan is a level.

fn fan_of(at: u32) -> u32 {
    return fan[at] + sums[AT_FAN_SUMS + (at >> 10u)] + sums[AT_FAN_SUMS + AT_SECOND_SUMS + (at >> 20u)];
}

// Which of `many` has the child `place`.
fn fan_owner(place: u32, many: u32) -> u32 {
    var low = 0u;
    var high = many;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if fan_of(middle) <= place {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

fn has_new(class_id: u32) -> bool {
    return start_of(2u * class_id + 2u) > start_of(2u * class_id + 1u);
}

// The ops that the classes of a node's operands have, as bits.
struct OperandOps {
    a: vec2<u32>,
    b: vec2<u32>,
    c: vec2<u32>,
}

struct Tried {
    many: u32,
    rule: u32,
}

fn ops_of(class_id: u32) -> vec2<u32> {
    if class_id == NONE {
        return vec2(0u, 0u);
    }
    return vec2(atomicLoad(&class_ops[2u * class_id]), atomicLoad(&class_ops[2u * class_id + 1u]));
}

fn operand_ops(words: Words) -> OperandOps {
    return OperandOps(ops_of(words.a), ops_of(words.b), ops_of(words.c));
}

fn has(ops: vec2<u32>, wanted: vec2<u32>) -> bool {
    return all((ops & wanted) == wanted);
}

// How many rules are tried at each node.
@compute @workgroup_size(256)
fn root_fan(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(INDEXED) {
        return;
    }
    fan[id] = 0u;
    if id < knobs.first_root || id >= knobs.last_root || states[4u * id + 1u] == DEAD {
        return;
    }
    let words = words_of(id);
    if knobs.rewrites_constants == 0u && (constants[states[4u * id + 1u]] & ~NEWS) != 0u {
        return;
    }
    var near = states[4u * id + 3u] >> 31u != 0u || !ONLY_NEAR || has_new(states[4u * id + 1u]);
    near = near || (words.a != NONE && has_new(words.a));
    near = near || (words.b != NONE && has_new(words.b));
    near = near || (words.c != NONE && has_new(words.c));
    if near {
        fan[id] = tried(words, operand_ops(words), NONE).many;
    }
}

@compute @workgroup_size(256)
fn expand_roots(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let child = thread(group, groups, local);
    if child >= count(NEXT) {
        return;
    }
    let id = fan_owner(child, count(INDEXED));
    let words = words_of(id);
    let rule = tried(words, operand_ops(words), child - fan_of(id)).rule;
    let to = ITEM * child;
    let fresh = states[4u * id + 3u] >> 31u;
    next_items[to] = rule | (fresh << 31u);
    next_items[to + 1u] = tables[AT_RULES + 16u * rule];
    next_items[to + 2u] = 0u;
    next_items[to + 3u] = id;
}

// What stands in partial matches. The host writes these three once more for whole matches, whose names end in `_found`.
// <PARTIAL>
// A word of a chosen node: operands as they are swapped, immediate, head.
fn node_word(base: u32, at: u32) -> u32 {
    let node = at / 5u;
    let field = at % 5u;
    let id = items[base + 3u + node];
    if field == 4u {
        return rows[4u * id];
    }
    if field == 3u {
        return states[4u * id];
    }
    let swapped = field < 2u && ((items[base + 2u] >> node) & 1u) != 0u;
    return rows[4u * id + 1u + select(field, 1u - field, swapped)];
}

fn register_word(base: u32, at: u32, rule: u32) -> u32 {
    let class_register = tables[AT_RULES + 16u * rule + 3u];
    if at < class_register {
        return node_word(base, at);
    }
    if at == class_register {
        return states[4u * items[base + 3u] + 1u];
    }
    return items[base + 3u + PLAN_NODES + at - class_register - 1u];
}

// What a source stands for: a constant, the type of a class, or bits of a register.
fn value_of(source: u32, base: u32, rule: u32) -> u32 {
    let what = source & 3u;
    if what == 0u {
        return source >> 2u;
    }
    let word = register_word(base, (source >> 2u) & 0x3ffu, rule);
    if what == 1u {
        return type_of(word);
    }
    let whole = ((source >> 18u) & 1u) != 0u;
    return select((word >> ((source >> 12u) & 31u)) & 0xffu, word, whole);
}
// </PARTIAL>

// The lane of a number that is the same throughout, or NONE.
fn lane_of(number: u32, ty: u32) -> u32 {
    if number >= knobs.numbers {
        return NONE;
    }
    return tables[AT_LANES + number * TYPES + ty];
}

fn value_type(ty: u32) -> u32 {
    return min(ty, FIRST_VECTOR);
}

// Where a partial match stands after its steps up to its next loop.
struct Stop {
    what: u32,
    // The step of the loop, and the node it is about.
    at: u32,
    node: u32,
    // A loop over nodes: of this class; whether only over new ones; of them, the users of another class, if the loop asks for that.
    class_id: u32,
    only_new: bool,
    with_class: u32,
}

const FAILS: u32 = 0u;
// The left side matches; the host may have to be asked.
const MATCHES_HERE: u32 = 1u;
const MATCHES_IF: u32 = 2u;
const SWAPS: u32 = 3u;
const NODES: u32 = 4u;

fn fails() -> Stop {
    return Stop(FAILS, 0u, 0u, 0u, false, 0u);
}

// The two that follow take rules as data; the host may replace them by code of its own for these rules.
// <RULES>
// Of the rules that are tried at a node: how many, and the one with `wanted` others before it.
fn tried(words: Words, ops: OperandOps, wanted: u32) -> Tried {
    let of_op = AT_OPS + 4u * (words.head & 0xffu);
    let first = AT_LISTS + tables[of_op];
    var tried = Tried(0u, NONE);
    for (var i = 0u; i < tables[of_op + 1u]; i += 1u) {
        let rule = tables[first + i];
        let at = AT_RULES + 16u * rule;
        if (words.head & tables[at + 4u]) != tables[at + 5u] {
            continue;
        }
        let a = vec2(tables[at + 8u], tables[at + 9u]);
        let b = vec2(tables[at + 10u], tables[at + 11u]);
        let c = vec2(tables[at + 12u], tables[at + 13u]);
        let swapped = tables[at + 14u] != 0u && has(ops.b, a) && has(ops.a, b);
        if has(ops.c, c) && (swapped || (has(ops.a, a) && has(ops.b, b))) {
            tried.rule = select(tried.rule, rule, tried.many == wanted);
            tried.many += 1u;
        }
    }
    return tried;
}

// Takes the steps of a partial match up to its next loop.
fn walk(base: u32) -> Stop {
    let rule = items[base] & 0x7fffffffu;
    var at = items[base + 1u];
    loop {
        let step = AT_STEPS + 4u * at;
        let what = tables[step] & 0xffu;
        let to = (tables[step] >> 8u) & 0xffu;
        let x = tables[step + 1u];
        let y = tables[step + 2u];
        let z = tables[step + 3u];
        switch what {
            // The left side matches.
            case 0u: {
                let asks = tables[AT_RULES + 16u * rule + 7u] != 0u;
                return Stop(select(MATCHES_HERE, MATCHES_IF, asks), at, 0u, 0u, false, 0u);
            }
            // Both orders of operands.
            case 1u: {
                return Stop(SWAPS, at, to, 0u, false, 0u);
            }
            // The nodes of a class; or, if these are by far fewer, the users of a class that must be an operand.
            case 2u: {
                let class_id = register_word(base, x & 0xffffu, rule);
                var with_class = NONE;
                if (tables[step] >> 16u) != 0u {
                    with_class = register_word(base, x >> 16u, rule);
                }
                return Stop(NODES, at, to, class_id, (z & 1u) != 0u, with_class);
            }
            case 3u: {
                if value_of(x, base, rule) != value_of(y, base, rule) {
                    return fails();
                }
            }
            case 4u: {
                if value_of(x, base, rule) != value_type(value_of(y, base, rule)) {
                    return fails();
                }
            }
            case 5u: {
                if ((y >> value_of(x, base, rule)) & 1u) == 0u {
                    return fails();
                }
            }
            // A known constant.
            case 6u: {
                let number = constants[value_of(x, base, rule)] & ~NEWS;
                if number == 0u {
                    return fails();
                }
                items[base + 3u + PLAN_NODES + to] = number - 1u;
            }
            // The lane that is the same throughout.
            case 7u: {
                let lane = lane_of(value_of(x, base, rule), value_of(y, base, rule));
                if lane == NONE {
                    return fails();
                }
                items[base + 3u + PLAN_NODES + to] = lane;
            }
            // That lane is this number, as wide as the type.
            default: {
                let wanted = tables[AT_ROWS + z * TYPES + value_of(y, base, rule)];
                if value_of(x, base, rule) != wanted {
                    return fails();
                }
            }
        }
        at += 1u;
    }
    return fails();
}
// </RULES>

// Takes a partial match to its next loop, and says how many come of it.
@compute @workgroup_size(256)
fn advance(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let item = thread(group, groups, local);
    if item >= count(ITEMS) {
        return;
    }
    let base = ITEM * item;
    fan[item] = 0u;
    if items[base] == NONE {
        return;
    }
    let fresh = items[base] >> 31u;
    let stop = walk(base);
    switch stop.what {
        case MATCHES_HERE, MATCHES_IF: {
            if fresh == 0u {
                return;
            }
            // From the end on stand those that the host is asked about.
            var place = 0u;
            if stop.what == MATCHES_IF {
                place = knobs.matches - 1u - atomicAdd(&counters[GUARDED], 1u);
            } else {
                place = atomicAdd(&counters[MATCHES], 1u);
            }
            if place < knobs.matches && place >= knobs.first_match {
                for (var i = 0u; i < ITEM; i += 1u) {
                    matches[ITEM * place + i] = items[base + i];
                }
            }
        }
        case SWAPS: {
            items[base + 1u] = stop.at;
            let row = 4u * items[base + 3u + stop.node];
            fan[item] = select(2u, 1u, rows[row + 1u] == rows[row + 2u]);
        }
        case NODES: {
            items[base + 1u] = stop.at;
            let old = 2u * stop.class_id;
            var many = start_of(old + 2u) - start_of(old + select(0u, 1u, stop.only_new && fresh == 0u));
            if many > 32u && stop.with_class != NONE {
                let with_at = 2u * count(INDEXED) + stop.with_class;
                let fewer = start_of(with_at + 1u) - start_of(with_at);
                if fewer * 8u < many {
                    items[base + 1u] = stop.at | BY_USERS;
                    many = fewer;
                }
            }
            fan[item] = many;
        }
        default: {}
    }
}

@compute @workgroup_size(256)
fn expand(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let child = thread(group, groups, local);
    if child >= count(NEXT) {
        return;
    }
    let item = fan_owner(child, count(ITEMS));
    let choice = child - fan_of(item);
    let base = ITEM * item;
    let to = ITEM * child;
    for (var i = 0u; i < ITEM; i += 1u) {
        next_items[to + i] = items[base + i];
    }
    let rule = items[base] & 0x7fffffffu;
    let at = items[base + 1u] & ~BY_USERS;
    let step = AT_STEPS + 4u * at;
    let node = (tables[step] >> 8u) & 0xffu;
    next_items[to + 1u] = at + 1u;
    if (tables[step] & 0xffu) == 1u {
        next_items[to + 2u] = items[base + 2u] | (choice << node);
        return;
    }
    let class_id = register_word(base, tables[step + 1u] & 0xffffu, rule);
    let only_new = (tables[step + 3u] & 1u) != 0u && (items[base] >> 31u) == 0u;
    let by_users = (items[base + 1u] & BY_USERS) != 0u;
    var with_class = NONE;
    var id = 0u;
    if by_users {
        with_class = register_word(base, tables[step + 1u] >> 16u, rule);
        id = order[first_user(with_class) + choice];
    } else {
        id = order[start_of(2u * class_id + select(0u, 1u, only_new)) + choice];
    }
    let words = words_of(id);
    let fresh = states[4u * id + 3u] & 0x80000000u;
    var fits = (words.head & (tables[step + 3u] | 0xffu)) == tables[step + 2u];
    if by_users {
        let is_a = words.a == with_class;
        let is_b = words.b == with_class;
        let operand = (tables[step] >> 16u) - 1u;
        let is_user = select(select(words.c == with_class, is_b, operand == 1u), is_a, operand == 0u);
        fits = fits && states[4u * id + 1u] == class_id && (!only_new || fresh != 0u);
        fits = fits && select(is_user, is_a || is_b, operand == 3u);
    }
    next_items[to] = select(NONE, items[base] | fresh, fits);
    next_items[to + 3u + node] = id;
}

// After a scan: whether there is room, and how large the next dispatches are.
@compute @workgroup_size(1)
fn turn() {
    let wanted = count(NEXT);
    if wanted > knobs.items {
        atomicMax(&counters[OVERFLOW], wanted);
        atomicStore(&counters[NEXT], 0u);
    }
    // For each of what comes, for each block of a scan over it, for each block of those.
    launch(0u, (count(NEXT) + GROUP - 1u) / GROUP);
    launch(1u, (count(NEXT) + 1023u) / 1024u);
    launch(2u, (count(NEXT) + 0xfffffu) / 0x100000u);
}

fn launch(which: u32, groups: u32) {
    launches[3u * which] = min(groups, 32768u);
    launches[3u * which + 1u] = (groups + 32767u) / 32768u;
    launches[3u * which + 2u] = 1u;
}

@compute @workgroup_size(1)
fn flip() {
    atomicStore(&counters[ITEMS], count(NEXT));
}

// ---- Costs: min-plus steps, until nothing changes. Whatever the order, the least fixpoint is reached.

fn plus_cost(cost: u32, operand: u32) -> u32 {
    if operand == NONE {
        return cost;
    }
    let more = atomicLoad(&costs[find(operand)]);
    return select(cost + more, NONE, more > NONE - cost);
}

@compute @workgroup_size(256)
fn relax(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(IDS) || states[4u * id + 1u] == DEAD {
        return;
    }
    let words = words_of(id);
    let price = prices[(words.head & 0xffu) * TYPES + ((words.head >> 8u) & 0xffu)];
    let cost = plus_cost(plus_cost(plus_cost(price, words.a), words.b), words.c);
    if cost < atomicMin(&costs[find(id)], cost) {
        atomicAdd(&counters[PENDING], 1u);
    }
}
