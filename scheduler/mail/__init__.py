"""The words of mails: a text a language and kind, put into one layout for HTML and one for plain text."""
