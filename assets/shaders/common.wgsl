// What all kernels share. Before it stand `Weight`, the type that weights are stored in,
// and `SIDE`: workgroups have SIDE * SIDE threads where they need many.

const LINE: u32 = SIDE * SIDE;

// Abramowitz and Stegun 7.1.26: within 1.5e-7.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - sum * exp(-x * x));
}

// Beyond 88 the result does not change, and `exp` would overflow.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -88.0, 88.0)));
}

fn tanh_of(x: f32) -> f32 {
    return tanh(clamp(x, -15.0, 15.0));
}

// Numbered as `gpu::Act`.
fn activate(act: u32, x: f32) -> f32 {
    switch act {
        case 1u: { return max(x, 0.0); }
        case 2u: { return clamp(x, 0.0, 6.0); }
        case 3u: { return x * sigmoid(x); }
        case 4u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case 5u: { return 0.5 * x * (1.0 + tanh_of(0.79788456 * (x + 0.044715 * x * x * x))); }
        case 6u: { return x * sigmoid(1.702 * x); }
        case 7u: { return sigmoid(x); }
        case 8u: { return tanh_of(x); }
        default: { return x; }
    }
}
