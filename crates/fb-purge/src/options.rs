//! How targets are told.

use std::time::Duration;

/// By what targets know their copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// By the surrogate keys in the answers.
    #[default]
    Keys,
    /// By their URLs. What has a key and no known URL purges everything.
    Urls,
}

/// Limits and times. All of them have defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long orders gather after the first one. 5 ms.
    pub gather: Duration,
    /// Most names that wait for one target; one more makes it "everything". 10,000.
    pub capacity: usize,
    /// Time for one request, from connecting to the end of the answer. 10 s.
    pub deadline: Duration,
    /// The first pause after a failure; each further one is twice as long. 100 ms.
    pub first_pause: Duration,
    /// The longest pause, unless the target asks for a longer one. 30 s.
    pub last_pause: Duration,
    /// The longest pause that a target can ask for with `Retry-After`. 5 minutes.
    pub longest_wait: Duration,
    /// A target that could not be told anything for so long gets "everything" when it is back. 60 s.
    pub patience: Duration,
    /// When each purge is sent once more; `None` for never. 1 s.
    pub repeat: Option<Duration>,
    /// Requests that are under way to one target at once. 4.
    pub lanes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(5),
            capacity: 10_000,
            deadline: Duration::from_secs(10),
            first_pause: Duration::from_millis(100),
            last_pause: Duration::from_secs(30),
            longest_wait: Duration::from_secs(300),
            patience: Duration::from_secs(60),
            repeat: Some(Duration::from_secs(1)),
            lanes: 4,
        }
    }
}
