"""The Glossary screen."""
