//! The live picture: load, replicas, and the newest lines of the story.
//!
//! For: a terminal that a person watches. Never shown where output is not a terminal; the terminal is given back in any
//! case, a panic included.

use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline, Wrap};

use super::story::Frame;

/// See the module.
pub(super) struct Picture {
    terminal: DefaultTerminal,
}

impl Picture {
    pub(super) fn open() -> std::io::Result<Picture> {
        Ok(Picture { terminal: ratatui::try_init()? })
    }

    pub(super) fn draw(&mut self, frames: &[Frame], lines: &[String], duration: Duration) -> std::io::Result<()> {
        let newest = frames.last().cloned().unwrap_or_default();
        self.terminal.draw(|area| {
            let [head, load, replicas, story] = Layout::vertical([
                Constraint::Length(2),
                Constraint::Percentage(30),
                Constraint::Percentage(25),
                Constraint::Min(6),
            ])
            .areas(area.area());
            area.render_widget(headline(&newest, duration), head);
            let title = format!(" requests: {:.0} a second arrive, {} in flight ", newest.rate, newest.in_flight);
            area.render_widget(chart(title, frames, load.width, Color::Cyan, |f| f.rate.round() as u64), load);
            let title = format!(
                " replicas: {} desired, {} ready, {} starting, {} draining ",
                newest.desired, newest.ready, newest.starting, newest.draining
            );
            area.render_widget(chart(title, frames, replicas.width, Color::Green, |f| u64::from(f.ready)), replicas);
            let room = usize::from(story.height.saturating_sub(2));
            let shown: Vec<Line<'_>> =
                lines[lines.len().saturating_sub(room)..].iter().map(|line| Line::from(line.as_str())).collect();
            let block = Block::bordered().title(" what happened, and why ");
            area.render_widget(Paragraph::new(shown).wrap(Wrap { trim: false }).block(block), story);
        })?;
        Ok(())
    }

    pub(super) fn close(self) {
        drop(self);
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn headline(newest: &Frame, duration: Duration) -> Paragraph<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let failed = if newest.failed == 0 { Style::new().fg(Color::Green) } else { Style::new().fg(Color::Red) };
    Paragraph::new(Line::from(vec![
        Span::styled("Trimtab", bold),
        Span::raw(format!("  {:.0} of {} s  ", newest.elapsed, duration.as_secs())),
        Span::raw(format!("{} served, ", newest.served)),
        Span::styled(format!("{} failed", newest.failed), failed),
        Span::raw(format!("  concurrency policy {}", newest.digest)),
    ]))
}

/// The newest values that fit, the newest at the right.
fn chart(
    title: String,
    frames: &[Frame],
    width: u16,
    colour: Color,
    value: impl Fn(&Frame) -> u64,
) -> Sparkline<'static> {
    let room = usize::from(width.saturating_sub(2)).max(1);
    let shown = &frames[frames.len().saturating_sub(room)..];
    let data: Vec<u64> = shown.iter().map(value).collect();
    Sparkline::default().block(Block::bordered().title(title)).data(data).style(Style::new().fg(colour))
}
