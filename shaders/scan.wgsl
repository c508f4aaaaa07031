// Exclusive prefix sums of @ARRAY@, in place, by blocks of 1,024: a value is the sum of what is written for it, for its
// block and for its block of blocks.

var<workgroup> parts_before: array<u32, 256>;

// The sum of the values of all invocations before this one.
fn before(local: u32, value: u32) -> u32 {
    parts_before[local] = value;
    workgroupBarrier();
    for (var step = 1u; step < 256u; step = 2u * step) {
        var other = 0u;
        if local >= step {
            other = parts_before[local - step];
        }
        workgroupBarrier();
        parts_before[local] += other;
        workgroupBarrier();
    }
    return parts_before[local] - value;
}

@compute @workgroup_size(256)
fn scan_@NAME@(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let block = group.y * groups.x + group.x;
    let many = @COUNT@;
    var values = vec4<u32>(0u);
    let first = 1024u * block + 4u * local;
    for (var i = 0u; i < 4u; i += 1u) {
        if first + i < many {
            values[i] = @LOAD@;
        }
    }
    var sum = before(local, values.x + values.y + values.z + values.w);
    if local == 255u && 1024u * block < many {
        sums[@SUMS@ + block] = sum + values.x + values.y + values.z + values.w;
    }
    for (var i = 0u; i < 4u; i += 1u) {
        if first + i < many {
            @STORE@;
        }
        sum += values[i];
    }
}

@compute @workgroup_size(256)
fn scan_blocks_@NAME@(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let many = (@COUNT@ + 1023u) / 1024u;
    var values = vec4<u32>(0u);
    let first = 1024u * group.x + 4u * local;
    for (var i = 0u; i < 4u; i += 1u) {
        if first + i < many {
            values[i] = sums[@SUMS@ + first + i];
        }
    }
    var sum = before(local, values.x + values.y + values.z + values.w);
    if local == 255u {
        sums[@SUMS@ + AT_SECOND_SUMS + group.x] = sum + values.x + values.y + values.z + values.w;
    }
    for (var i = 0u; i < 4u; i += 1u) {
        if first + i < many {
            sums[@SUMS@ + first + i] = sum;
        }
        sum += values[i];
    }
}

// There are at most 1,024 blocks of blocks.
@compute @workgroup_size(1)
fn scan_end_@NAME@() {
    let many = (@COUNT@ + 0xfffffu) / 0x100000u;
    var sum = 0u;
    for (var i = 0u; i < many; i += 1u) {
        let value = sums[@SUMS@ + AT_SECOND_SUMS + i];
        sums[@SUMS@ + AT_SECOND_SUMS + i] = sum;
        sum += value;
    }
    @END@
}
