// Equality saturation, between iterations: ids of nodes that became copies are used again. Stands behind `apply.wgsl`.
//
// Ids keep their order, so that parents stay below their children, and operands of commutative ops stay sorted. A node
// keeps an id if it was there at first, as the host has names for it; if it is live; or if its class has this id.

fn is_kept(id: u32) -> bool {
    return id < knobs.first_root || states[4u * id + 1u] != DEAD || atomicLoad(&parent[id]) == id;
}

// One for each id that is kept, for a scan.
@compute @workgroup_size(256)
fn keep(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id < count(IDS) {
        fan[id] = select(0u, 1u, is_kept(id));
    }
}

fn kept_before(id: u32) -> u32 {
    if id >= count(IDS) {
        return count(NEXT);
    }
    return fan_of(id);
}

fn renamed(class_id: u32) -> u32 {
    if class_id == NONE {
        return NONE;
    }
    return fan_of(find(class_id));
}

// New names in what stays; by old id the new one, by new id the new parent.
@compute @workgroup_size(256)
fn rename(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(IDS) {
        return;
    }
    order[id] = NONE;
    if !is_kept(id) {
        return;
    }
    order[id] = fan_of(id);
    let root = find(id);
    pending[fan_of(id)] = fan_of(root);
    let words = words_of(id);
    let class_id = states[4u * id + 1u];
    let named = sorted(Words(words.head, renamed(words.a), renamed(words.b), renamed(words.c), words.imm));
    rows[4u * id + 1u] = named.a;
    rows[4u * id + 2u] = named.b;
    rows[4u * id + 3u] = named.c;
    if class_id != DEAD {
        states[4u * id + 1u] = select(NONE, fan_of(root), class_id == root);
    }
}

// Rows move down a part at a time: what is kept of the rows from `first_match` to `last_match` ...
@compute @workgroup_size(256)
fn lift(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = knobs.first_match + thread(group, groups, local);
    if id >= knobs.last_match || order[id] == NONE {
        return;
    }
    let to = 8u * (order[id] - fan_of(knobs.first_match));
    for (var i = 0u; i < 4u; i += 1u) {
        next_items[to + i] = rows[4u * id + i];
        next_items[to + 4u + i] = states[4u * id + i];
    }
}

// ... comes to its new place, at or below the old one.
@compute @workgroup_size(256)
fn lower(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let place = thread(group, groups, local);
    let first = fan_of(knobs.first_match);
    if place >= kept_before(knobs.last_match) - first {
        return;
    }
    for (var i = 0u; i < 4u; i += 1u) {
        rows[4u * (first + place) + i] = next_items[8u * place + i];
        states[4u * (first + place) + i] = next_items[8u * place + 4u + i];
    }
}

@compute @workgroup_size(256)
fn reparent(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id < count(NEXT) {
        atomicStore(&parent[id], pending[id]);
    }
}

// All classes that were merged are known by now.
@compute @workgroup_size(1)
fn shrink() {
    atomicStore(&counters[IDS], count(NEXT));
    atomicStore(&counters[UNIONS], 0u);
    atomicStore(&counters[COPIES], 0u);
}
