//! [`check`]: whether everything learns that should, seen in the gradients of the first step.

use crate::{Error, Result};

/// Refuses gradients that show that something does not learn: values that are not finite, or a parameter that gets
/// none. Of each parameter: its name, its gradient, and whether it may get none.
///
/// # Errors
/// [`Error::Shape`] that names the parameter.
pub(crate) fn check<'a>(gradients: impl IntoIterator<Item = (&'a str, &'a [f32], bool)>) -> Result<()> {
    for (name, gradient, may_be_idle) in gradients {
        if gradient.iter().any(|value| !value.is_finite()) {
            return Err(Error::Shape(format!("`{name}` has a gradient that is not finite before the first step")));
        }
        if gradient.iter().all(|value| *value == 0.0) && !may_be_idle {
            return Err(Error::Shape(format!("`{name}` learns nothing: its gradient is zero")));
        }
    }
    Ok(())
}
