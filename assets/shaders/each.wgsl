// The frame of the kernels that give a thread one number of the result: those say `value(i)`.

// The number of a thread among all of a dispatch whose workgroups are laid out in two
// dimensions because one would not hold them.
fn flat(group: vec3<u32>, groups: vec3<u32>, thread: u32) -> u32 {
    return (group.y * groups.x + group.x) * LINE + thread;
}

@compute @workgroup_size(LINE)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat(group, groups, thread);
    if i < p.count { out[i] = value(i); }
}
