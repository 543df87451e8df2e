//! Principal components: the few directions that hold most of what a set of vectors says.

/// Sweeps of Jacobi's method; ten bring 384 dimensions to machine precision.
const SWEEPS: usize = 12;

/// The `keep` strongest eigenvectors of the symmetric `matrix` (D, D), strongest first, as (keep, D).
/// Cyclic Jacobi rotations in f64. The sign of each is fixed by its largest entry, which is positive.
pub(super) fn strongest(mut matrix: Vec<f64>, dimension: usize, keep: usize) -> Vec<f32> {
    // rows of `vectors` are the eigenvectors, so that a rotation touches two contiguous rows
    let mut vectors = vec![0.0; dimension * dimension];
    for d in 0..dimension {
        vectors[d * dimension + d] = 1.0;
    }
    for _ in 0..SWEEPS {
        let mut moved = false;
        for p in 0..dimension {
            for q in p + 1..dimension {
                moved |= rotate(&mut matrix, &mut vectors, dimension, p, q);
            }
        }
        if !moved {
            break;
        }
    }
    let mut order: Vec<usize> = (0..dimension).collect();
    order.sort_by(|&a, &b| matrix[b * dimension + b].total_cmp(&matrix[a * dimension + a]));
    let row = |d: &usize| {
        let row = &vectors[d * dimension..][..dimension];
        let largest = row.iter().copied().fold(0.0_f64, |most, x| if x.abs() > most.abs() { x } else { most });
        row.iter().map(move |x| (x * largest.signum()) as f32)
    };
    order[..keep].iter().flat_map(row).collect()
}

/// Turns the plane of axes `p` and `q` so that their off-diagonal entry vanishes; false if it was
/// negligible.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], dimension: usize, p: usize, q: usize) -> bool {
    let (app, aqq, apq) = (matrix[p * dimension + p], matrix[q * dimension + q], matrix[p * dimension + q]);
    if apq.abs() <= 1e-12 * (app.abs() * aqq.abs()).sqrt().max(f64::MIN_POSITIVE) {
        return false;
    }
    let theta = (aqq - app) / (2.0 * apq);
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for d in 0..dimension {
        let (x, y) = (matrix[d * dimension + p], matrix[d * dimension + q]);
        matrix[d * dimension + p] = cosine * x - sine * y;
        matrix[d * dimension + q] = sine * x + cosine * y;
    }
    turn(matrix, dimension, p, q, cosine, sine);
    turn(vectors, dimension, p, q, cosine, sine);
    true
}

/// Rotates rows `p` and `q`, `p` the first.
fn turn(matrix: &mut [f64], dimension: usize, p: usize, q: usize, cosine: f64, sine: f64) {
    let (head, tail) = matrix.split_at_mut(q * dimension);
    let (x, y) = (&mut head[p * dimension..][..dimension], &mut tail[..dimension]);
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_axes_of_a_known_ellipsoid() {
        // Q diag(9, 4, 1) Q' with Q the rotation by 30 degrees about the third axis
        let (c, s) = (0.75_f64.sqrt(), 0.5);
        let matrix = vec![
            9.0 * c * c + 4.0 * s * s,
            5.0 * c * s,
            0.0,
            5.0 * c * s,
            9.0 * s * s + 4.0 * c * c,
            0.0,
            0.0,
            0.0,
            1.0,
        ];
        let axes = strongest(matrix, 3, 2);
        let expect = [c, s, 0.0, -s, c, 0.0];
        assert!(axes.iter().zip(expect).all(|(x, y)| (f64::from(*x) - y).abs() < 1e-6), "{axes:?}");
    }

    #[test]
    fn axes_are_orthonormal() {
        let dimension = 40;
        let entry = |i: usize, j: usize| ((i * j + i + j) % 7) as f64 - 3.0 + if i == j { i as f64 } else { 0.0 };
        let matrix = (0..dimension * dimension).map(|at| entry(at / dimension, at % dimension)).collect();
        let axes = strongest(matrix, dimension, dimension);
        for i in 0..dimension {
            for j in 0..=i {
                let dot: f32 = (0..dimension).map(|d| axes[i * dimension + d] * axes[j * dimension + d]).sum();
                assert!((dot - if i == j { 1.0 } else { 0.0 }).abs() < 1e-5, "{i} {j} {dot}");
            }
        }
    }
}
