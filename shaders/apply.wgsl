// Equality saturation, after matches are found: the host's answers, right sides, unions, rebuilding, and checks. Stands
// behind `saturate.wgsl`, which has what both use.

// ---- Matches about which the host is asked: rule and registers go there, registers come back for those that remain.

@compute @workgroup_size(256)
fn ask(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let place = thread(group, groups, local);
    if place >= knobs.asked {
        return;
    }
    let base = ITEM * (knobs.first_match + place);
    let rule = matches[base] & 0x7fffffffu;
    next_items[ASK * place] = rule;
    let first = tables[AT_RULES + 16u * rule + 6u];
    for (var i = 0u; i < tables[AT_RULES + 16u * rule + 7u]; i += 1u) {
        next_items[ASK * place + 1u + i] = register_word_found(base, tables[AT_READS + first + i], rule);
    }
}

@compute @workgroup_size(256)
fn accept(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let place = thread(group, groups, local);
    if place >= knobs.answers {
        return;
    }
    let answer = (1u + TEMPS) * place;
    let asked_at = ITEM * (knobs.first_match + next_items[answer]);
    let to = ITEM * (knobs.last_match + place);
    for (var i = 0u; i < ITEM - TEMPS; i += 1u) {
        matches[to + i] = matches[asked_at + i];
    }
    for (var i = 0u; i < TEMPS; i += 1u) {
        matches[to + ITEM - TEMPS + i] = next_items[answer + 1u + i];
    }
}

// ---- Apply: right sides part by part, then unions.

@compute @workgroup_size(256)
fn make(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let found = knobs.first_match + thread(group, groups, local);
    if found >= knobs.last_match {
        return;
    }
    let place = found - knobs.first_match;
    let base = ITEM * found;
    let rule = matches[base] & 0x7fffffffu;
    candidates[8u * place + 7u] = 0u;
    if knobs.part >= tables[AT_RULES + 16u * rule + 2u] {
        return;
    }
    let make_at = AT_MAKES + 8u * (tables[AT_RULES + 16u * rule + 1u] + knobs.part);
    let what = tables[make_at] & 0xffu;
    let to = PARTS * place + knobs.part;
    var words = Words(tables[make_at + 1u], NONE, NONE, NONE, tables[make_at + 2u]);
    switch what {
        // A class of the left side.
        case 0u: {
            parts[to] = value_of_found(tables[make_at + 1u], base, rule);
            return;
        }
        // A constant that is the same number in every lane of a type.
        case 2u: {
            let ty = value_of_found(tables[make_at + 1u], base, rule);
            words.head = CONST_OP | (value_type(ty) << 8u) | (value_type(ty) << 16u);
            if tables[make_at + 2u] == NONE {
                words.imm = value_of_found(tables[make_at + 3u], base, rule);
            } else {
                words.imm = tables[AT_ROWS + tables[make_at + 2u] * TYPES + ty];
            }
        }
        // A node; its types are fixed, or those of the left side.
        default: {
            let arity = (tables[make_at] >> 8u) & 0xffu;
            var sets = vec3<u32>(0xffffu);
            if what == 3u {
                let op = tables[make_at + 1u];
                let flags = tables[AT_OPS + 4u * op + 2u];
                var ty = value_of_found(tables[make_at + 4u], base, rule);
                ty = select(ty, value_type(ty), (flags & 1u) != 0u);
                var from_ty = ty;
                if (flags & 2u) != 0u && tables[make_at + 5u] != NONE {
                    from_ty = value_of_found(tables[make_at + 5u], base, rule);
                }
                let shape = AT_SHAPES + 2u * ((op * TYPES + ty) * TYPES + from_ty);
                let high = tables[shape + 1u];
                if ((high >> 16u) & 1u) == 0u {
                    parts[to] = NONE;
                    return;
                }
                sets = vec3<u32>(tables[shape] & 0xffffu, tables[shape] >> 16u, high & 0xffffu);
                words.head = op | (ty << 8u) | (from_ty << 16u) | ((flags & 4u) << 22u);
                words.imm = value_of_found(tables[make_at + 2u], base, rule);
            }
            var classes = vec3<u32>(NONE);
            for (var i = 0u; i < arity; i += 1u) {
                let class_id = parts[PARTS * place + ((tables[make_at + 3u] >> (8u * i)) & 0xffu)];
                if class_id == NONE || ((sets[i] >> type_of(class_id)) & 1u) == 0u {
                    parts[to] = NONE;
                    return;
                }
                classes[i] = class_id;
            }
            words.a = classes.x;
            words.b = classes.y;
            words.c = classes.z;
        }
    }
    words = sorted(words);
    let id = lookup(words);
    if id != NONE {
        let class_id = states[4u * id + 1u];
        parts[to] = select(class_id, id, class_id == NONE);
        return;
    }
    let at = 8u * place;
    candidates[at] = words.head;
    candidates[at + 1u] = words.a;
    candidates[at + 2u] = words.b;
    candidates[at + 3u] = words.c;
    candidates[at + 4u] = words.imm;
    candidates[at + 5u] = 0u;
    candidates[at + 7u] = 1u;
}

fn candidate_words(place: u32) -> Words {
    let at = 8u * place;
    return Words(candidates[at], candidates[at + 1u], candidates[at + 2u], candidates[at + 3u], candidates[at + 4u]);
}

// Candidates of the same words take one slot, and the lowest of them has it.
@compute @workgroup_size(256)
fn claim(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let place = thread(group, groups, local);
    if place >= knobs.last_match - knobs.first_match || candidates[8u * place + 7u] == 0u {
        return;
    }
    let words = candidate_words(place);
    var at = hash(words) & knobs.slot_mask;
    loop {
        var slot = atomicLoad(&slots[at]);
        if slot == 0u {
            let taken = atomicCompareExchangeWeak(&slots[at], 0u, CANDIDATE | place);
            if taken.exchanged {
                atomicAdd(&counters[USED], 1u);
                break;
            }
            continue;
        }
        if slot >= CANDIDATE && is_same(candidate_words(slot & ~CANDIDATE), words) {
            atomicMin(&slots[at], CANDIDATE | place);
            break;
        }
        at = (at + 1u) & knobs.slot_mask;
    }
    candidates[8u * place + 6u] = at;
}

@compute @workgroup_size(256)
fn settle(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let place = thread(group, groups, local);
    if place >= knobs.last_match - knobs.first_match || candidates[8u * place + 7u] == 0u {
        return;
    }
    let slot = candidates[8u * place + 6u];
    if atomicLoad(&slots[slot]) != (CANDIDATE | place) {
        return;
    }
    let id = count(IDS) + atomicAdd(&counters[WINNERS], 1u);
    for (var i = 0u; i < 4u; i += 1u) {
        rows[4u * id + i] = candidates[8u * place + i];
    }
    states[4u * id] = candidates[8u * place + 4u];
    states[4u * id + 1u] = NONE;
    states[4u * id + 2u] = slot;
    atomicStore(&parent[id], id);
    candidates[8u * place + 5u] = id + 1u;
}

@compute @workgroup_size(256)
fn adopt(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let place = thread(group, groups, local);
    if place >= knobs.last_match - knobs.first_match {
        return;
    }
    let found = knobs.first_match + place;
    let rule = matches[ITEM * found] & 0x7fffffffu;
    let to = PARTS * place + knobs.part;
    if candidates[8u * place + 7u] != 0u {
        let at = candidates[8u * place + 6u];
        let slot = atomicLoad(&slots[at]);
        // The winner may have written the node's slot already.
        var id = slot - NODE;
        if slot >= CANDIDATE {
            id = candidates[8u * (slot & ~CANDIDATE) + 5u] - 1u;
            if slot == (CANDIDATE | place) {
                atomicStore(&slots[at], id + NODE);
            }
        }
        parts[to] = id;
    }
    if knobs.part + 1u == tables[AT_RULES + 16u * rule + 2u] {
        matches[ITEM * found + 1u] = parts[to];
    }
}

@compute @workgroup_size(1)
fn grow() {
    atomicStore(&counters[IDS], count(IDS) + count(WINNERS));
    atomicStore(&counters[WINNERS], 0u);
}

@compute @workgroup_size(256)
fn merge(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let found = thread(group, groups, local);
    if found >= count(MATCHES) {
        return;
    }
    let made = matches[ITEM * found + 1u];
    let class_id = find(matches[ITEM * found + 3u]);
    if made != NONE && type_of(made) == type_of(class_id) {
        unite(class_id, made);
    }
}

// ---- Rebuild: nodes whose operands were merged take new slots; those that are equal then are merged.

@compute @workgroup_size(256)
fn canon(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(IDS) {
        return;
    }
    if states[4u * id + 1u] == DEAD {
        return;
    }
    let old = words_of(id);
    var words = old;
    if words.a != NONE {
        words.a = find(words.a);
    }
    if words.b != NONE {
        words.b = find(words.b);
    }
    if words.c != NONE {
        words.c = find(words.c);
    }
    words = sorted(words);
    if is_same(words, old) {
        return;
    }
    rows[4u * id + 1u] = words.a;
    rows[4u * id + 2u] = words.b;
    rows[4u * id + 3u] = words.c;
    states[4u * id + 1u] = NONE;
    atomicStore(&slots[states[4u * id + 2u]], TOMBSTONE);
    pending[atomicAdd(&counters[PENDING], 1u)] = id;
}

fn put(id: u32) {
    let words = words_of(id);
    var at = hash(words) & knobs.slot_mask;
    loop {
        let slot = atomicLoad(&slots[at]);
        if slot == 0u {
            if atomicCompareExchangeWeak(&slots[at], 0u, id + NODE).exchanged {
                atomicAdd(&counters[USED], 1u);
                states[4u * id + 2u] = at;
                return;
            }
            continue;
        }
        if slot >= NODE && is_same(words_of(slot - NODE), words) {
            states[4u * id + 1u] = DEAD;
            atomicAdd(&counters[COPIES], 1u);
            unite(id, slot - NODE);
            return;
        }
        at = (at + 1u) & knobs.slot_mask;
    }
}

@compute @workgroup_size(256)
fn insert(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = thread(group, groups, local);
    if at < count(PENDING) {
        put(pending[at]);
    }
}

// All live nodes into an empty table.
@compute @workgroup_size(256)
fn fill(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id < count(IDS) && states[4u * id + 1u] != DEAD {
        put(id);
    }
}

// ---- What must hold between iterations.

@compute @workgroup_size(256)
fn check(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let id = thread(group, groups, local);
    if id >= count(IDS) {
        return;
    }
    var bad = atomicLoad(&parent[id]) > id;
    if states[4u * id + 1u] != DEAD {
        let words = words_of(id);
        bad = bad || (words.a != NONE && find(words.a) != words.a);
        bad = bad || (words.b != NONE && find(words.b) != words.b);
        bad = bad || (words.c != NONE && find(words.c) != words.c);
        bad = bad || atomicLoad(&slots[states[4u * id + 2u]]) != id + NODE;
        bad = bad || lookup(words) != id;
    }
    if bad {
        atomicAdd(&counters[BAD], 1u);
    }
}

// How many slots are one live node's own.
@compute @workgroup_size(256)
fn check_slots(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = thread(group, groups, local);
    if at > knobs.slot_mask {
        return;
    }
    let slot = atomicLoad(&slots[at]);
    if slot >= NODE && (slot >= CANDIDATE || states[4u * (slot - NODE) + 1u] == DEAD || states[4u * (slot - NODE) + 2u] != at) {
        atomicAdd(&counters[BAD], 1u);
    }
}
