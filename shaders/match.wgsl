// Finds where the left sides of rules match, by walking their plans: egraft_rules::Interpreter on a GPU.
//
// One invocation tries one rule at one node. What it finds are the choices that lead to a match: operand orders and
// nodes of classes, which the host takes again. Conditions are left to the host, and so is what is known of variables
// that only conditions bind; a rule that looks at too much is given up, and the host matches it.
//
// The host writes the constants VARS, TEMPS, NODES, LOOPS, CHOICE_WORDS, RECORD_WORDS before this text.

struct Params {
    // Invocations that have work, and those in a row of the dispatch.
    pairs: u32,
    row: u32,
    groups: u32,
    // Records that there is room for.
    capacity: u32,
}

// A node is two vectors: op, type, operand type and three operands; the immediate.
// A class is two vectors: its first node, how many candidates, its type and whether it is a constant; its bits.
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> nodes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> classes: array<vec4<u32>>;
// The node and the class of each root, those of one op side by side.
@group(0) @binding(3) var<storage, read> roots: array<vec2<u32>>;
// For each op: its first pair, its first root, how many roots, its first entry in `rules`.
@group(0) @binding(4) var<storage, read> groups: array<vec4<u32>>;
// The first step and the id of each rule.
@group(0) @binding(5) var<storage, read> rules: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read> steps: array<vec4<u32>>;
@group(0) @binding(7) var<storage, read> constants: array<vec4<u32>>;
@group(0) @binding(8) var<storage, read_write> records: array<u32>;
// How many records there are, room or not, and how many pairs are done.
@group(0) @binding(9) var<storage, read_write> counters: array<atomic<u32>, 2>;

const NO_CLASS: u32 = 0xffffffffu;

// Steps.
const FOUND: u32 = 0u;
const SWAP: u32 = 1u;
const EACH_NODE: u32 = 2u;
const EACH_ROOT_NODE: u32 = 3u;
const BIND: u32 = 4u;
const EQUAL: u32 = 5u;
const VALUE_OF: u32 = 6u;
const TYPE_IN: u32 = 7u;
const CONSTANT: u32 = 8u;
const LANE: u32 = 9u;
const LANE_IS: u32 = 10u;
const FORGET: u32 = 11u;

// Limits of one invocation: nodes looked at, steps and candidates, matches.
const FUEL: u32 = 4095u;
const BUDGET: u32 = 40000u;
const MOST_MATCHES: u32 = 255u;
const GIVEN_UP: u32 = 0x10000u;

// The first type that is a vector; types are numbered as in egraft_ir::Ty::ALL.
const FIRST_VECTOR: u32 = 7u;

var<private> root_class: u32;
var<private> node_at: array<u32, NODES>;
var<private> swapped: vec2<u32>;
var<private> vars: array<vec4<u32>, VARS>;
var<private> unknown: vec2<u32>;
var<private> temps: array<vec4<u32>, TEMPS>;
var<private> unknown_temps: vec2<u32>;

fn bit(members: vec2<u32>, at: u32) -> bool {
    return ((select(members.x, members.y, at >= 32u) >> (at & 31u)) & 1u) != 0u;
}

fn with_bit(members: vec2<u32>, at: u32, on: bool) -> vec2<u32> {
    let mask = select(vec2<u32>(1u << (at & 31u), 0u), vec2<u32>(0u, 1u << (at & 31u)), at >= 32u);
    return select(members & ~mask, members | mask, on);
}

fn lane_bits(ty: u32) -> u32 {
    switch ty {
        case 0u, 7u: { return 8u; }
        case 1u, 8u: { return 16u; }
        case 2u, 5u, 9u, 11u: { return 32u; }
        case 4u: { return 128u; }
        default: { return 64u; }
    }
}

fn value_type(ty: u32) -> u32 {
    return min(ty, FIRST_VECTOR);
}

fn arg(node: u32, at: u32) -> u32 {
    let place = select(at, 1u - at, at < 2u && bit(swapped, node));
    let args = nodes[2u * node_at[node]];
    return select(select(args.y, args.z, place == 1u), args.w, place == 2u);
}

fn is_unknown(source: u32) -> bool {
    let at = (source >> 8u) & 0xffu;
    return ((source & 0xffu) == 7u && bit(unknown, at)) || ((source & 0xffu) == 6u && bit(unknown_temps, at));
}

fn value_of(source: u32) -> vec4<u32> {
    let x = (source >> 8u) & 0xffu;
    let y = (source >> 16u) & 0xffu;
    switch source & 0xffu {
        case 0u: { return vec4<u32>(root_class, 0u, 0u, 0u); }
        case 1u: { return vec4<u32>((nodes[2u * node_at[x]].x >> 8u) & 0xffu, 0u, 0u, 0u); }
        case 2u: { return vec4<u32>((nodes[2u * node_at[x]].x >> 16u) & 0xffu, 0u, 0u, 0u); }
        case 3u: { return nodes[2u * node_at[x] + 1u]; }
        case 4u: { return vec4<u32>(arg(x, y), 0u, 0u, 0u); }
        case 5u: { return vec4<u32>(classes[2u * arg(x, y)].z & 0xffu, 0u, 0u, 0u); }
        case 6u: { return temps[x]; }
        case 7u: { return vars[x]; }
        default: { return constants[source >> 8u]; }
    }
}

fn lane_mask(bits: u32) -> vec4<u32> {
    switch bits {
        case 8u: { return vec4<u32>(0xffu, 0u, 0u, 0u); }
        case 16u: { return vec4<u32>(0xffffu, 0u, 0u, 0u); }
        case 32u: { return vec4<u32>(0xffffffffu, 0u, 0u, 0u); }
        case 64u: { return vec4<u32>(0xffffffffu, 0xffffffffu, 0u, 0u); }
        default: { return vec4<u32>(0xffffffffu); }
    }
}

// Whether every lane of `bits`, of which the first is `lane`, is the same.
fn is_splat(ty: u32, bits: vec4<u32>, lane: vec4<u32>) -> bool {
    let width = lane_bits(ty);
    if ty < FIRST_VECTOR {
        return true;
    }
    if width == 64u {
        return all(bits.xy == bits.zw);
    }
    var word = lane.x;
    if width == 8u {
        word = word * 0x01010101u;
    } else if width == 16u {
        word = word * 0x00010001u;
    }
    return all(bits == vec4<u32>(word));
}

// The first candidate of class `id` from place `start` on that has `op`, or none.
fn candidate(id: u32, op: u32, start: u32) -> u32 {
    let at = classes[2u * id];
    for (var i = start; i < at.y; i += 1u) {
        if (nodes[2u * (at.x + i)].x & 0xffu) == op {
            return i;
        }
    }
    return at.y;
}

fn write(root: u32, rule: u32, number: u32, choices: ptr<function, array<u32, CHOICE_WORDS>>) {
    let at = atomicAdd(&counters[0], 1u);
    if at >= params.capacity {
        return;
    }
    let first = at * RECORD_WORDS;
    records[first] = root;
    records[first + 1u] = rule;
    records[first + 2u] = number;
    for (var i = 0u; i < CHOICE_WORDS; i += 1u) {
        records[first + 3u + i] = (*choices)[i];
    }
}

// A step that is no loop.
fn test(step: vec4<u32>) -> bool {
    let kind = step.x & 0xffu;
    let to = (step.x >> 8u) & 0xffu;
    let blind = is_unknown(step.y) || (kind != BIND && kind != TYPE_IN && kind != CONSTANT && is_unknown(step.z));
    switch kind {
        case BIND: {
            unknown = with_bit(unknown, to, blind);
            vars[to] = value_of(step.y);
            return true;
        }
        case FORGET: {
            unknown = with_bit(unknown, to, true);
            return true;
        }
        case EQUAL: { return blind || all(value_of(step.y) == value_of(step.z)); }
        case VALUE_OF: { return blind || value_of(step.y).x == value_type(value_of(step.z).x); }
        case TYPE_IN: { return blind || ((step.z >> value_of(step.y).x) & 1u) != 0u; }
        case CONSTANT: {
            unknown_temps = with_bit(unknown_temps, to, blind);
            if blind {
                return true;
            }
            let id = value_of(step.y).x;
            temps[to] = classes[2u * id + 1u];
            return (classes[2u * id].z >> 8u) != 0u;
        }
        case LANE: {
            unknown_temps = with_bit(unknown_temps, to, blind);
            if blind {
                return true;
            }
            let bits = value_of(step.y);
            let ty = value_of(step.z).x;
            let lane = bits & lane_mask(lane_bits(ty));
            temps[to] = lane;
            return is_splat(ty, bits, lane);
        }
        case LANE_IS: {
            return blind || all(value_of(step.y) == (constants[step.w] & lane_mask(lane_bits(value_of(step.z).x))));
        }
        default: { return false; }
    }
}

fn walk(root: u32, rule: u32, first: u32) {
    var stack_step: array<u32, LOOPS>;
    var stack_choice: array<u32, LOOPS>;
    var choices: array<u32, CHOICE_WORDS>;
    node_at[0] = roots[root].x;
    root_class = roots[root].y;
    swapped = vec2<u32>(0u);
    unknown = vec2<u32>(0u);
    unknown_temps = vec2<u32>(0u);
    var depth = 0u;
    var at = first;
    var fuel = FUEL;
    var budget = BUDGET;
    var found = 0u;
    loop {
        let step = steps[at];
        let kind = step.x & 0xffu;
        var holds = false;
        // Loops choose from here on; everything else goes on or fails.
        var start = 0u;
        var opens = false;
        if kind == FOUND {
            for (var i = 0u; i < CHOICE_WORDS; i += 1u) {
                choices[i] = 0u;
            }
            for (var i = 0u; i < depth; i += 1u) {
                choices[i / 6u] |= stack_choice[i] << (5u * (i % 6u));
            }
            write(root, rule, found, &choices);
            found += 1u;
        } else if kind <= EACH_ROOT_NODE {
            opens = true;
        } else {
            holds = test(step);
        }
        budget -= min(budget, 1u + depth * select(0u, 1u, kind == FOUND));
        if !holds {
            // The innermost loop that has another choice takes it.
            var open_at = at;
            loop {
                if !opens {
                    if depth == 0u {
                        return;
                    }
                    depth -= 1u;
                    open_at = stack_step[depth];
                    start = stack_choice[depth] + 1u;
                }
                opens = false;
                let open = steps[open_at];
                let node = (open.x >> 8u) & 0xffu;
                var choice = NO_CLASS;
                if (open.x & 0xffu) == SWAP {
                    swapped = with_bit(swapped, node, false);
                    if start == 0u || (start == 1u && arg(node, 0u) != arg(node, 1u)) {
                        choice = start;
                        swapped = with_bit(swapped, node, start == 1u);
                    }
                } else {
                    var id = root_class;
                    if (open.x & 0xffu) == EACH_NODE {
                        id = arg((open.x >> 16u) & 0xffu, open.x >> 24u);
                    }
                    let next = candidate(id, open.y, start);
                    budget -= min(budget, next - start + 1u);
                    if next < classes[2u * id].y {
                        choice = next;
                        node_at[node] = classes[2u * id].x + next;
                        fuel -= min(fuel, 1u);
                    }
                }
                if choice != NO_CLASS {
                    stack_step[depth] = open_at;
                    stack_choice[depth] = choice;
                    depth += 1u;
                    at = open_at;
                    break;
                }
            }
        }
        if fuel == 0u || budget == 0u || found > MOST_MATCHES {
            write(root, rule | GIVEN_UP, 0u, &choices);
            return;
        }
        at += 1u;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pair = id.y * params.row + id.x;
    if id.x >= params.row || pair >= params.pairs {
        return;
    }
    // The last group that begins at or before the pair.
    var low = 0u;
    var high = params.groups;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if groups[middle].x <= pair {
            low = middle;
        } else {
            high = middle;
        }
    }
    let group = groups[low];
    let within = pair - group.x;
    let rule = rules[group.w + within / group.z];
    walk(group.y + within % group.z, rule.y, rule.x);
    atomicAdd(&counters[1], 1u);
}
