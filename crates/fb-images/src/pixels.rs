//! Decoded pixels.

use fast_image_resize::PixelType;

/// Eight bits per channel, rows from top to bottom without padding.
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) channels: Channels,
    pub(crate) data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
}

impl Channels {
    /// Bytes per pixel.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    pub(crate) fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }

    fn opaque(self) -> Self {
        match self {
            Self::Gray | Self::GrayAlpha => Self::Gray,
            Self::Rgb | Self::Rgba => Self::Rgb,
        }
    }

    pub(crate) fn pixel_type(self) -> PixelType {
        match self {
            Self::Gray => PixelType::U8,
            Self::GrayAlpha => PixelType::U8x2,
            Self::Rgb => PixelType::U8x3,
            Self::Rgba => PixelType::U8x4,
        }
    }
}

impl Pixels {
    pub(crate) fn is_opaque(&self) -> bool {
        let size = self.channels.size();
        !self.channels.has_alpha() || self.data.chunks_exact(size).all(|p| p[size - 1] == 255)
    }

    /// Without alpha: what is transparent is mixed with white.
    pub(crate) fn flattened(self) -> Self {
        if !self.channels.has_alpha() {
            return self;
        }
        let size = self.channels.size();
        let mut data = Vec::with_capacity(self.data.len() / size * (size - 1));
        for pixel in self.data.chunks_exact(size) {
            let alpha = u32::from(pixel[size - 1]);
            data.extend(
                pixel[..size - 1]
                    .iter()
                    .map(|c| ((u32::from(*c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8),
            );
        }
        Self {
            channels: self.channels.opaque(),
            data,
            ..self
        }
    }

    /// Gray as equal parts of red, green and blue.
    pub(crate) fn colored(self) -> Self {
        let (size, channels) = match self.channels {
            Channels::Gray => (1, Channels::Rgb),
            Channels::GrayAlpha => (2, Channels::Rgba),
            Channels::Rgb | Channels::Rgba => return self,
        };
        let mut data = Vec::with_capacity(self.data.len() / size * channels.size());
        for pixel in self.data.chunks_exact(size) {
            data.extend_from_slice(&[pixel[0]; 3]);
            data.extend_from_slice(&pixel[1..]);
        }
        Self { channels, data, ..self }
    }
}
