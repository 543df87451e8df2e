//! The logistic function and its logarithm, without overflow at either end.

/// 1 / (1 + e^-x).
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// -ln sigmoid(x).
pub(super) fn minus_log_sigmoid(x: f64) -> f64 {
    (-x).max(0.0) + (-x.abs()).exp().ln_1p() + 0.0 * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_at_both_ends() {
        for x in [-3.0_f64, -0.5, 0.0, 0.5, 3.0] {
            let plain = 1.0 / (1.0 + (-x).exp());
            assert!((sigmoid(x) - plain).abs() < 1e-15);
            assert!((minus_log_sigmoid(x) + plain.ln()).abs() < 1e-15);
        }
        assert_eq!((sigmoid(-800.0), sigmoid(800.0)), (0.0, 1.0));
        assert_eq!((minus_log_sigmoid(-800.0), minus_log_sigmoid(800.0)), (800.0, 0.0));
        assert!(sigmoid(f64::NAN).is_nan() && minus_log_sigmoid(f64::NAN).is_nan());
    }
}
