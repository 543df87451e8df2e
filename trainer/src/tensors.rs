//! [`write_tensors`]: `f32` tensors to one safetensors file, a tensor at a time.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::Tensor;

use crate::Result;
use crate::error::write;

/// Values of a tensor, where they lie.
pub(crate) enum Floats<'a> {
    /// In memory, row-major.
    Host(&'a [f32]),
    /// On a device.
    Tensor(&'a Tensor),
}

/// Writes tensors, each with its name and shape, in their order. Neither atomic nor synced: that is the
/// business of the folder it is written to.
pub(crate) fn write_tensors(path: &Path, tensors: &[(String, Vec<usize>, Floats<'_>)]) -> Result<()> {
    let mut header = r#"{"__metadata__":{"format":"pt"}"#.to_owned();
    let mut end = 0;
    for (name, shape, _) in tensors {
        let start = end;
        end += shape.iter().product::<usize>() * size_of::<f32>();
        let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        let _ = write!(header, ",{}:{entry}", serde_json::Value::from(name.as_str()));
    }
    header.push('}');
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let file = File::create(path).map_err(write(path))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(write(path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(header.as_bytes())?;
    for (_, _, floats) in tensors {
        let values = match floats {
            Floats::Host(values) => Cow::Borrowed(*values),
            Floats::Tensor(tensor) => Cow::Owned(tensor.flatten_all()?.to_vec1()?),
        };
        for value in values.iter() {
            put(&value.to_le_bytes())?;
        }
    }
    file.flush().map_err(write(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let tensor = Tensor::new(&[[1.0_f32, 2.0], [3.0, f32::MIN]], &candle_core::Device::Cpu).unwrap();
        let tensors = [
            ("b \"quoted\"".to_owned(), vec![3], Floats::Host(&[0.5, -0.0, 7.0])),
            ("a".to_owned(), vec![2, 2], Floats::Tensor(&tensor)),
        ];
        write_tensors(&path, &tensors).unwrap();
        let weights = nn::Weights::open_file(&path).unwrap();
        assert_eq!(weights.floats("b \"quoted\"", &[3]).unwrap(), [0.5, 0.0, 7.0]);
        assert_eq!(weights.floats("a", &[2, 2]).unwrap(), [1.0, 2.0, 3.0, f32::MIN]);
    }
}
