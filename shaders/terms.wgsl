// Fingerprints of terms: what one op makes of terms whose values are known, on all samples, hashed.
//
// The host writes before this text: `value`, which computes an op from its operands, by number; `is_defined`, whether it
// has a value for these.

struct Knobs {
    terms: u32,
    samples: u32,
}

@group(0) @binding(0) var<uniform> knobs: Knobs;
// By term and sample.
@group(0) @binding(1) var<storage, read> values: array<vec4<u32>>;
// Which op, and the places of its operands among the terms whose values are known.
@group(0) @binding(2) var<storage, read> terms: array<vec4<u32>>;
// By term: the hash; and whether it has a value on every sample.
@group(0) @binding(3) var<storage, read_write> prints: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> defined: array<u32>;
@group(0) @binding(5) var<storage, read_write> done: atomic<u32>;

fn high_product(x: u32, y: u32) -> u32 {
    let low = (x & 0xffffu) * (y & 0xffffu);
    let a = (x >> 16u) * (y & 0xffffu) + (low >> 16u);
    let b = (x & 0xffffu) * (y >> 16u) + (a & 0xffffu);
    return (x >> 16u) * (y >> 16u) + (a >> 16u) + (b >> 16u);
}

fn turned(x: u32, by: u32) -> u32 {
    return (x << by) | (x >> (32u - by));
}

fn stirred(hash: vec4<u32>, value: vec4<u32>) -> vec4<u32> {
    var h = (hash ^ value) * vec4<u32>(0x9e3779b1u, 0x85ebca77u, 0xc2b2ae3du, 0x27d4eb2fu);
    h.x += turned(h.y, 13u);
    h.y += turned(h.z, 17u);
    h.z += turned(h.w, 11u);
    h.w += turned(h.x, 19u);
    return h;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * groups.x + group.x) * 64u + local;
    if at >= knobs.terms {
        return;
    }
    let term = terms[at];
    var hash = vec4<u32>(0u);
    var has_value = true;
    for (var sample = 0u; sample < knobs.samples; sample += 1u) {
        let a = values[term.y * knobs.samples + sample];
        let b = values[term.z * knobs.samples + sample];
        let c = values[term.w * knobs.samples + sample];
        has_value = has_value && is_defined(term.x, a, b);
        hash = stirred(hash, value(term.x, a, b, c));
    }
    for (var more = 0u; more < 4u; more += 1u) {
        hash = stirred(hash, vec4<u32>(0u));
    }
    prints[at] = hash;
    defined[at] = select(0u, 1u, has_value);
    atomicAdd(&done, 1u);
}
